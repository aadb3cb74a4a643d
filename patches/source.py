"""
The kernel's hook as a change of source, for those who maintain a fork of NautilusTrader.

A pure function of *their* text: it is parsed, the hook is put in or taken out of the syntax tree,
and everything else comes back byte by byte. The hook is a decorator on the constructor and the
import that brings it; without this package installed it does nothing. So an update of the fork
from upstream meets one line inside of a class, and the constructor itself stays as upstream has it.
"""

from __future__ import annotations

import io
import tokenize
from enum import StrEnum
from types import CodeType
from types import SimpleNamespace
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError
from nautilus_enhanced.infrastructure.messagebus.errors import PatchVerificationError


if TYPE_CHECKING:
    from collections.abc import Sequence

    import libcst


CLASS: Final = "NautilusKernel"
METHOD: Final = "__init__"
MARKER: Final = "# nt-enhanced: kernel hook 1"
_ANY_MARKER: Final = "# nt-enhanced:"
_GUARD: Final = """\
try:
    from nautilus_enhanced.patches import kernel_hook
except ImportError:

    def kernel_hook(init):
        return init
"""
_DECORATOR: Final = "kernel_hook"


class HookState(StrEnum):
    """Name what a kernel's source can look like."""

    ABSENT = "without the hook"
    PRESENT = "with the hook"
    DAMAGED = "with a part of a hook, or with one that was changed"


def parser() -> Any:
    """
    Return the module that parses.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import libcst  # noqa: PLC0415 (an extra)
    except ImportError:
        raise MissingExtraError("forks", "changing the source of a fork") from None
    return libcst


def hook_state(source: bytes) -> HookState:
    """
    Return whether the hook is in a kernel's source, as it was put there.

    Raises
    ------
    PatchVerificationError
        If the source cannot be parsed or has no kernel.
    """
    if _ANY_MARKER.encode() not in source and _DECORATOR.encode() not in source:
        _kernel_of(_parse(source))
        return HookState.ABSENT
    without = _take_out(_parse(source))
    has_parts = without != source
    return HookState.PRESENT if has_parts and _put_in(without) == source else HookState.DAMAGED


def hooked(source: bytes) -> bytes:
    """
    Return a kernel's source with the hook; with one that has it, the same.

    Raises
    ------
    PatchVerificationError
        If the source has no kernel, or what was changed could not be taken back exactly.
    """
    state = hook_state(source)
    if state is HookState.PRESENT:
        return source
    if state is HookState.DAMAGED:
        raise _damaged()
    changed = _put_in(source)
    if _take_out(_parse(changed)) != source:
        raise PatchVerificationError(
            "the hook could not be taken out again without changing something else: report this "
            "with the lines around the class"
        )
    return changed


def unhooked(source: bytes) -> bytes:
    """
    Return a kernel's source as it was before the hook; one without it, as it is.

    Raises
    ------
    PatchVerificationError
        If the source has no kernel, or its hook is not as it was put there.
    """
    state = hook_state(source)
    if state is HookState.ABSENT:
        return source
    if state is HookState.DAMAGED:
        raise _damaged()
    return _take_out(_parse(source))


def lines_of(source: bytes) -> list[str]:
    """
    Return the lines of a module's source with their ends, in the encoding that it names.

    Raises
    ------
    PatchVerificationError
        If there is no such encoding, or the text is not in it.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        # What a text calls a line's end, such as a form feed, is none in Python's source.
        return [line.decode(encoding) for line in source.splitlines(keepends=True)]
    except (SyntaxError, UnicodeError) as error:
        raise _not_python(str(error)) from None


def code_of(source: bytes, class_name: str) -> Any:
    """
    Return a stand-in for a class of a module, with the code of its methods; nothing is run.

    Parameters
    ----------
    source : bytes
        The module's source.
    class_name : str
        The class.

    Returns
    -------
    SimpleNamespace or None
        With an attribute for each method that has a ``__code__``; None if there is no such class.

    Raises
    ------
    PatchVerificationError
        If the source is not Python.
    """
    try:
        module = compile(source, "<tree>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise _not_python(str(error)) from None
    owner = _code_named(module, class_name)
    if owner is None:
        return None
    methods = (const for const in owner.co_consts if isinstance(const, CodeType))
    return SimpleNamespace(**{code.co_name: SimpleNamespace(__code__=code) for code in methods})


def _code_named(owner: CodeType, name: str) -> CodeType | None:
    codes = (const for const in owner.co_consts if isinstance(const, CodeType))
    return next((code for code in codes if code.co_name == name), None)


def _not_python(why: str) -> PatchVerificationError:
    return PatchVerificationError(f"it is not Python: {' '.join(why.split())}")


def _damaged() -> PatchVerificationError:
    return PatchVerificationError(
        "a part of a hook is there, or one that was changed or is of another version: take it out "
        "by hand or by your version control"
    )


# -- the syntax tree -----------------------------------------------------------------------------


def _parse(source: bytes) -> libcst.Module:
    cst = parser()
    try:
        module: libcst.Module = cst.parse_module(source)
    except cst.ParserSyntaxError as error:
        # Its text has the line of the source in it, and more.
        raise _not_python(error.message) from None
    except (SyntaxError, UnicodeError) as error:
        # An encoding that nobody knows, or that the text is not in.
        raise _not_python(str(error)) from None
    return module


def _kernel_of(module: libcst.Module) -> tuple[int, int]:
    """Return where the class is in the module, and where the constructor is in the class."""
    cst = parser()
    place = _index_of(module.body, cst.ClassDef, CLASS)
    if place is not None:
        kernel: Any = module.body[place]
        method = _index_of(kernel.body.body, cst.FunctionDef, METHOD)
        if method is not None:
            return place, method
    raise PatchVerificationError(f"it has no class {CLASS} with a constructor")


def _index_of(statements: Sequence[Any], kind: Any, name: str) -> int | None:
    return next(
        (i for i, one in enumerate(statements) if isinstance(one, kind) and one.name.value == name),
        None,
    )


def _with_decorators(module: libcst.Module, body: list[Any], decorators: Any) -> bytes:
    """Return the text of the module with another body and other decorators on the constructor."""
    place, method = _kernel_of(module.with_changes(body=body))
    kernel = body[place]
    methods = list(kernel.body.body)
    methods[method] = methods[method].with_changes(decorators=decorators)
    body[place] = kernel.with_changes(body=kernel.body.with_changes(body=methods))
    return module.with_changes(body=body).bytes


def _put_in(source: bytes) -> bytes:
    cst = parser()
    module = _parse(source)
    place, method = _kernel_of(module)
    body = list(module.body)
    kernel: Any = body[place]
    marked = cst.TrailingWhitespace(cst.SimpleWhitespace("  "), cst.Comment(MARKER))
    guard: Any = cst.parse_statement(_GUARD, module.config_for_parsing)
    blank = cst.EmptyLine(indent=False)
    guard = guard.with_changes(
        # What stands before the first statement belongs to the module, and is not ours to add to.
        leading_lines=[blank, blank] if place else [],
        body=guard.body.with_changes(header=marked),
    )
    decorator = cst.Decorator(cst.Name(_DECORATOR), trailing_whitespace=marked)
    # The outermost: it must see the constructor as everybody else does.
    decorators = [decorator, *kernel.body.body[method].decorators]
    return _with_decorators(module, [*body[:place], guard, *body[place:]], decorators)


def _take_out(module: libcst.Module) -> bytes:
    """Return the text without what is marked as ours, whether that is whole or not."""
    cst = parser()
    body = [
        statement
        for statement in module.body
        if not (isinstance(statement, cst.Try) and _is_marked(statement.body.header))
    ]
    place, method = _kernel_of(module.with_changes(body=body))
    kernel: Any = body[place]
    decorators = [
        decorator
        for decorator in kernel.body.body[method].decorators
        if not _is_marked(decorator.trailing_whitespace)
    ]
    return _with_decorators(module, body, decorators)


def _is_marked(end_of_line: libcst.TrailingWhitespace) -> bool:
    comment = end_of_line.comment
    return comment is not None and comment.value.startswith(_ANY_MARKER)
