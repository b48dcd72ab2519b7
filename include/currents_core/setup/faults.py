"""Faults of settings in our words: what is wrong, what was probably meant, and what is expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

Loc = tuple[str | int, ...]

_NOT_A_DAY = "not a day of the calendar"
_OUT_OF_RANGE = "out of range"
# What each kind of fault of the validator means to somebody who writes settings.
_SENTENCES = {
    "missing": "missing; add it",
    "string_type": "must be text",
    "int_type": "must be a whole number, without quotes",
    "int_parsing": "must be a whole number, without quotes",
    "int_parsing_size": _OUT_OF_RANGE,
    "float_type": "must be a number, without quotes",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false, without quotes",
    "tuple_type": "must be a list, such as [a, b]",
    "dict_type": "must have keys and values, such as {key: value}",
    "model_type": "must have keys and values, such as {key: value}",
    "model_attributes_type": "must have keys and values, such as {key: value}",
    "date_type": _NOT_A_DAY,
    "date_parsing": _NOT_A_DAY,
    "date_from_datetime_parsing": _NOT_A_DAY,
    "string_pattern_mismatch": "does not have the form that it needs",
    "string_too_short": "too short",
    "too_short": "must not be empty",
    "string_too_long": "too long",
    "greater_than": _OUT_OF_RANGE,
    "greater_than_equal": _OUT_OF_RANGE,
    "less_than": _OUT_OF_RANGE,
    "less_than_equal": _OUT_OF_RANGE,
    "literal_error": "not one of the choices",
}


class Fault(NamedTuple):
    """One fault of one connector: its place below the connector, and a message with the remedy."""

    loc: Loc
    message: str


def faults_of(error: ValidationError, model: type[BaseModel]) -> Iterator[Fault]:
    """The faults that the validation of a ``model`` found."""
    for each in error.errors(include_url=False):
        # A list is called empty as well where none of its items is valid.
        if each["type"] != "too_short" or not each["input"]:
            told = _of_the_kind(each)
            yield Fault(_without_kinds(model, told["loc"]), _message(told, model))


def did_you_mean(text: object, known: Iterable[str]) -> str:
    """The end of a message that names the nearest of what is known; empty if nothing is near."""
    near = get_close_matches(str(text), list(known), n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def _of_the_kind(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fault as one of the key that decides between several models, where it is one."""
    if error["type"] not in {"union_tag_invalid", "union_tag_not_found"}:
        return error
    key, found = error["ctx"]["discriminator"].strip("'"), "literal_error"
    if error["type"] == "union_tag_not_found":
        misspelled = get_close_matches(key, error["input"], n=1)
        [key], found = (misspelled, "extra_forbidden") if misspelled else ([key], "missing")
    return {"type": found, "loc": (*error["loc"], key), "input": error["ctx"].get("tag")}


def _without_kinds(model: type[BaseModel], loc: Loc) -> Loc:
    """A place as it is in the file. The validator also names which of several models it took."""
    return tuple(step for place, step in enumerate(loc) if step not in _by_kind(_type_at(model, loc[:place])))


def _message(error: Mapping[str, Any], model: type[BaseModel]) -> str:
    kind, loc = error["type"], error["loc"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "extra_forbidden":
        known = list(_keys(_type_at(model, loc[:-1])))
        near = did_you_mean(loc[-1], known)
        return f"there is no such key{near or '; remove it, or use one of: ' + ', '.join(known)}"
    sentence = _SENTENCES.get(kind, "not valid")
    if kind == "string_type" and isinstance(error["input"], bool | int | float):
        sentence += "; put it in quotes"
    if kind == "literal_error":
        kinds = _by_kind(_type_at(model, loc[:-1]))
        near = did_you_mean(error["input"], kinds or get_args(_type_at(model, loc)))
        if near or kinds:
            return f"{sentence}{near or '; expected: ' + ', '.join(kinds)}"
    field = _field_at(model, loc)
    return f"{sentence}; expected: {field.description}" if field and field.description else sentence


def _field_at(model: type[BaseModel], loc: Loc) -> FieldInfo | None:
    """The field at a place or, where a list has no fields, the field of the list."""
    for end in range(len(loc), 0, -1):
        above, step = _type_at(model, loc[: end - 1]), loc[end - 1]
        if isinstance(step, str):
            return _keys(above).get(step)
        item = _metadata(above)
        if item:
            return item
    return None


def _type_at(annotation: Any, loc: Loc) -> Any:
    """The type at a place, without `Annotated` and None."""
    for step in loc:
        if isinstance(step, int):
            annotation = _plain(next(iter(get_args(annotation)), None))
        elif kinds := _by_kind(annotation):
            annotation = kinds.get(step)
        else:
            field = _keys(annotation).get(step)
            annotation = _plain(field.annotation) if field else None
    return annotation


def _by_kind(annotation: Any) -> Mapping[str, Any]:
    """The models of a union, by the value of the key that decides between them; none if it is no such union."""
    models = [each for each in get_args(annotation) if isinstance(each, type) and issubclass(each, BaseModel)]
    # A model or None is no choice between models.
    choices = models if len(models) > 1 else []
    return {kind: each for each in choices for kind in get_args(each.model_fields["kind"].annotation)}


def _plain(annotation: Any) -> Any:
    args = get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _plain(args[0])
    if type(None) in args:
        return _plain(next(each for each in args if each is not type(None)))
    return annotation


def _metadata(annotation: Any) -> FieldInfo | None:
    """What a list says of its items."""
    item: Any = next(iter(get_args(annotation)), None)
    return next((each for each in getattr(item, "__metadata__", ()) if isinstance(each, FieldInfo)), None)


def _keys(annotation: Any) -> Mapping[str, FieldInfo]:
    """The fields of a model, or of the first of several, by the names they have in the file; none if it is no model."""
    annotation = next(iter(_by_kind(annotation).values()), annotation)
    fields: Mapping[str, FieldInfo] = getattr(annotation, "model_fields", {})
    return {field.alias or name: field for name, field in fields.items()}
