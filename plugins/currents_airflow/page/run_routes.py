"""The routes about runs: what is on, and one of them."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from currents_airflow.page.access import OnePermitted, Permitted
from currents_airflow.page.books import Books
from currents_airflow.page.runs import hours_under_way, live_runs, one_run
from currents_airflow.page.show import show
from currents_core.hour import hours_back

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
    looks, touched = None, set(run.hours)
    if run.hours:
        first = [*hours_back(run.hours[0], connector.lookback_hours), run.hours[0]][0]
        looks = books.looks(first, run.hours[-1], hours_under_way([run]))
        # Of earlier hours, a scheduled run delivers what is late.
        touched |= {view.hour for view in looks.views.values() if any(each.run == run.run for each in view.runs)}
    context = {
        "connector": connector,
        "run": run,
        "senders": [each for each in books.senders() if (each.dag, each.run) == (run.dag, run.run)]
        if run.is_on
        else [],
        "cells": [looks.cell(hour) for hour in sorted(touched, reverse=True)] if looks else [],
    }
    return show(request, "run", context)
