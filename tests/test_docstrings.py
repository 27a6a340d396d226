"""The docstrings of all that is public name each parameter, with its type."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import bigrad
from bigrad.jobs.job import Plan
from bigrad.labelled.accessor import DataArrayGradient, DatasetGradient

PUBLIC: list[Callable[..., Any]] = [
    bigrad.gradient,
    bigrad.plan,
    Plan.run,
    *(
        method
        for accessor in (DatasetGradient, DataArrayGradient)
        for name, method in vars(accessor).items()
        if not name.startswith("_")
    ),
]


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__qualname__)
def test_each_parameter_has_its_type(function: Callable[..., Any]) -> None:
    parts = re.split(r"^(\w[\w ]*)\n-+$", inspect.getdoc(function) or "", flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    documented = [
        name.strip(" *")
        for names in re.findall(r"^(\S.*?) : \S", sections["Parameters"], re.MULTILINE)
        for name in names.split(",")
    ]
    assert documented == [
        name for name in inspect.signature(function).parameters if name != "self"
    ]
    assert sections["Returns"].strip()
    assert sections["Raises"].strip()
