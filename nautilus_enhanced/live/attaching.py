"""Connects a node's kernel with what reads its external streams."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from typing import Any

from nautilus_enhanced.live.backing import ReadingBacking
from nautilus_enhanced.live.ingress import NodeIngress


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.config import EnhancedMessageBusConfig
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
    from nautilus_enhanced.live.backing import EnhancedMessageBusBacking
    from nautilus_enhanced.live.dispatcher import PriorityDispatcher


def attach_ingress(
    kernel: Any,
    settings: EnhancedMessageBusConfig,
    *,
    url: str,
    naming: StreamNaming,
    backing: EnhancedMessageBusBacking | None,
    dispatcher: PriorityDispatcher | None,
    log: Any,
) -> NodeIngress:
    """
    Have a node's external streams read by our consumers.

    Parameters
    ----------
    kernel : NautilusKernel
        The kernel, built.
    settings : EnhancedMessageBusConfig
        The bus configuration.
    url : str
        The URL of the server.
    naming : StreamNaming
        How the node's own streams are named.
    backing : EnhancedMessageBusBacking or None
        Our publisher's backing; None where the stock publisher runs.
    dispatcher : PriorityDispatcher or None
        The dispatcher; None where the engines are stock.
    log : Logger
        The node's logger.
    """
    ingress = NodeIngress(
        kernel,
        settings,
        url=url,
        naming=naming,
        backlog=partial(engine_backlog, kernel, dispatcher),
        log=log,
    )
    if backing is None:
        kernel._msgbus_db = ReadingBacking(kernel._msgbus_db, ingress)  # noqa: SLF001 (stock sets it the same way)
    else:
        backing.ingress = ingress
    # Of this kernel only: what stops the trader stops the reading before.
    for name in ("stop", "stop_async"):
        setattr(kernel, name, preceded_by(ingress.let_go, getattr(kernel, name)))
    kernel.dispose = preceded_by(ingress.close, kernel.dispose)
    return ingress


def preceded_by(first: Callable[[], None], method: Callable[[], Any]) -> Callable[[], Any]:
    """Return a method that calls another one first."""

    def both() -> Any:
        first()
        return method()

    return both


def engine_backlog(kernel: Any, dispatcher: PriorityDispatcher | None) -> int:
    """Return the messages that wait in a kernel's engines, as dispatcher or engines count them."""
    if dispatcher is not None:
        return dispatcher.backlog
    data, risk, execution = kernel.data_engine, kernel.risk_engine, kernel.exec_engine
    return int(
        data.cmd_qsize()
        + data.req_qsize()
        + data.res_qsize()
        + data.data_qsize()
        + risk.cmd_qsize()
        + risk.evt_qsize()
        + execution.cmd_qsize()
        + execution.evt_qsize()
    )
