"""A receipt that is waited for: what the writer's thread says reaches the caller's event loop."""

import asyncio

import pytest

from nautilus_enhanced.infrastructure.messagebus.publishing.receipt import AwaitedReceipt


class Confirmation:
    """Takes the question whether a level was given, and answers when the test says so."""

    def __init__(self) -> None:
        self.asked = []

    def __call__(self, tell) -> None:
        self.asked.append(tell)


async def fate_of(receipt):
    return await asyncio.wait_for(receipt.fate(), 5.0)


@pytest.mark.parametrize("accepted", [True, False, None])
async def test_the_writers_word_is_all_where_acceptance_is(accepted):
    receipt = AwaitedReceipt()
    await asyncio.to_thread(receipt.settle, accepted)
    assert await fate_of(receipt) == (accepted, "")


@pytest.mark.parametrize("problem", ["", "0 of 1 replicas have it"])
async def test_an_accepted_message_waits_for_its_confirmation(problem):
    confirmation = Confirmation()
    receipt = AwaitedReceipt(confirmation)
    await asyncio.to_thread(receipt.settle, True)
    waiting = asyncio.create_task(receipt.fate())
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done
    (tell,) = confirmation.asked
    await asyncio.to_thread(tell, problem)
    assert await asyncio.wait_for(waiting, 5.0) == (True, problem)


@pytest.mark.parametrize("accepted", [False, None])
async def test_what_was_not_accepted_is_not_asked_about(accepted):
    confirmation = Confirmation()
    receipt = AwaitedReceipt(confirmation)
    receipt.settle(accepted)
    assert await fate_of(receipt) == (accepted, "")
    assert confirmation.asked == []


async def test_a_caller_that_was_cancelled_is_told_nothing():
    receipt = AwaitedReceipt()
    waiting = asyncio.create_task(receipt.fate())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    problems = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    receipt.settle(True)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert problems == []


def test_a_loop_that_is_closed_is_no_error_of_the_writer():
    async def leave() -> AwaitedReceipt:
        return AwaitedReceipt()

    receipt = asyncio.run(leave())
    receipt.settle(True)
