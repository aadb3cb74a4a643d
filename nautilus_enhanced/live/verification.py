"""What the subclasses of the live engines rely on, checked before they are used."""

from __future__ import annotations

from typing import Any
from typing import Final


# Engine, the coroutine that serves a queue, and the handler that it must call: if a version
# hands its messages to another method, ours must too.
ENGINE_QUEUES: Final = (
    ("data_engine", "LiveDataEngine", "_run_cmd_queue", "_execute_command"),
    ("data_engine", "LiveDataEngine", "_run_req_queue", "_handle_request"),
    ("data_engine", "LiveDataEngine", "_run_res_queue", "_handle_response"),
    ("data_engine", "LiveDataEngine", "_run_data_queue", "_handle_data"),
    ("risk_engine", "LiveRiskEngine", "_run_cmd_queue", "_execute_command"),
    ("risk_engine", "LiveRiskEngine", "_run_evt_queue", "_handle_event"),
    ("execution_engine", "LiveExecutionEngine", "_run_cmd_queue", "_execute_command"),
    ("execution_engine", "LiveExecutionEngine", "_run_evt_queue", "_handle_event_with_tracking"),
)
ENGINE_METHODS: Final = ("_handle_queue_exception", "_on_stop", "kill")
ENQUEUING: Final = {
    "LiveDataEngine": ("execute", "request", "response", "process"),
    "LiveRiskEngine": ("execute", "process"),
    "LiveExecutionEngine": ("execute", "process"),
}


# What builds clients hands each of them to its engine by this method.
REGISTERING: Final = "register_client"
BUILDING: Final = ("build_data_clients", "build_exec_clients")
CLIENT_METHODS: Final = {
    "MarketDataClient": ("_handle_data", "_set_connected"),
    "ExecutionClient": ("_send_order_event", "_send_account_state", "_set_connected"),
}


def engine_problems(classes: dict[str, Any]) -> tuple[str, ...]:
    """
    Return what is not as expected in the live engines, as sentences.

    Parameters
    ----------
    classes : dict[str, type]
        The three engine classes by name.
    """
    problems = [f"{name} is missing" for name in ENQUEUING if name not in classes]
    for _, name, serve, handler in ENGINE_QUEUES:
        if name not in classes:
            continue
        code = _code(classes[name], serve)
        if code is None:
            problems.append(f"{name}.{serve} is missing")
        elif handler not in code.co_names:
            problems.append(f"{name}.{serve} does not call {handler}")
    for name, methods in ENQUEUING.items():
        if name not in classes:
            continue
        for method in methods:
            code = _code(classes[name], method)
            if code is None or "enqueue" not in code.co_names:
                problems.append(f"{name}.{method} does not use an enqueuer")
        problems.extend(
            f"{name}.{method} is missing"
            for method in ENGINE_METHODS
            if _code(classes[name], method) is None
        )
    return tuple(problems)


def ingress_problems(node: Any, kernel: Any) -> tuple[str, ...]:
    """
    Return what is not as expected in how a node reads external streams, as sentences.

    Parameters
    ----------
    node, kernel : type
        The classes of the node and of its kernel.
    """
    problems = []
    for owner, method, names in (
        (node, "run_async", ("msgbus_database", "stream", "publish_bus_message")),
        (
            node,
            "publish_bus_message",
            ("deserialize", "_stream_processors", "is_streaming_type", "publish"),
        ),
        (kernel, "stop_async", ("_trader", "stop")),
    ):
        code = _code(owner, method)
        if code is None:
            problems.append(f"{owner.__name__}.{method} is missing")
            continue
        problems.extend(
            f"{owner.__name__}.{method} does not use {name}"
            for name in names
            if name not in code.co_names
        )
    return tuple(problems)


def adapter_problems(classes: dict[str, Any]) -> tuple[str, ...]:
    """
    Return what is not as expected in how clients are built and what they are made of.

    Parameters
    ----------
    classes : dict[str, type]
        The node's builder, the two live engines that have clients, and the clients' base
        classes, by name.
    """
    builder = classes.get("TradingNodeBuilder")
    problems = []
    for method in BUILDING:
        code = _code(builder, method)
        if code is None:
            problems.append(f"TradingNodeBuilder.{method} is missing")
        elif REGISTERING not in code.co_names:
            problems.append(f"TradingNodeBuilder.{method} does not call {REGISTERING}")
    problems.extend(
        f"{name}.{REGISTERING} is missing"
        for name in ("LiveDataEngine", "LiveExecutionEngine")
        if not hasattr(classes.get(name), REGISTERING)
    )
    problems.extend(
        f"{name}.{method} is missing"
        for name, methods in CLIENT_METHODS.items()
        for method in methods
        if not hasattr(classes.get(name), method)
    )
    return tuple(problems)


def _code(owner: Any, name: str) -> Any:
    return getattr(getattr(owner, name, None), "__code__", None)
