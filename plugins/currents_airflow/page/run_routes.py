"""The routes about runs: what is on, and one of them."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from currents_airflow.page.access import OnePermitted, Permitted
from currents_airflow.page.books import Books
from currents_airflow.page.runs import Run, live_runs, one_run
from currents_airflow.page.show import show
from currents_core.books.index import window_start
from currents_core.setup.settings import Connector
from currents_core.showing.calendar import Cell, State, state_of

router = APIRouter()


@router.get("/c/{name}/now")
def now(request: Request, connector: OnePermitted) -> Response:
    """What runs."""
    context = {"connector": connector, "runs": live_runs(connector), "senders": Books(connector).senders()}
    return show(request, "now", context)


@router.get("/dag/{dag_id}/runs/{run_id}")
def of_run(request: Request, dag_id: str, run_id: str, connectors: Permitted) -> Response:
    """A run: how far it has got, and what became of the hours that it was at."""
    found = one_run(connectors.values(), dag_id, run_id)
    if not found:
        raise HTTPException(404, "This run delivers nothing of a connector that you may see.")
    connector, run = found
    books = Books(connector)
    context = {
        "connector": connector,
        "run": run,
        "senders": [each for each in books.senders() if (each.dag, each.run) == (run.dag, run.run)],
        "cells": _cells(connector, run, books),
    }
    return show(request, "run", context)


def _cells(connector: Connector, run: Run, books: Books) -> list[Cell]:
    """The hours of a run, and those of which it delivered what was late; the newest first."""
    if not run.hours:
        return []
    first = window_start(run.hours[0], connector.lookback_hours)
    views = {view.hour: view for view in books.views(first, run.hours[-1])}
    late = {hour for hour, view in views.items() if any(each.run == run.run for each in view.runs)}
    waiting: State = "delivering" if run.is_on and run.delivers else "none"

    def cell(hour: str) -> Cell:
        view = views.get(hour)
        return Cell(hour, state_of(view) if view and view.is_accounted else waiting, view)

    return [cell(hour) for hour in sorted({*run.hours} | late, reverse=True)]
