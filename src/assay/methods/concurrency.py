"""Ordered concurrent calls and the bridge from ordinary code into async ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


async def gather(calls: Iterable[Callable[[], Awaitable[T]]], *, limit: int | None = None) -> list[T]:
    """Run the calls concurrently, at most `limit` at a time; results stand in the order of the calls.

    The first failure cancels the rest and is raised as itself (not inside an exception group), so that a
    method's caller sees the error it would see from a plain loop.
    """
    calls = list(calls)
    if limit is not None and limit < 1:
        raise ValueError(f"limit: got {limit}, wanted >= 1 or None")
    results: list[Any] = [None] * len(calls)
    first_error: list[Exception] = []
    limiter = anyio.Semaphore(limit if limit is not None else max(1, len(calls)))

    async def one(index: int, call: Callable[[], Awaitable[T]], scope: anyio.CancelScope) -> None:
        async with limiter:
            try:
                results[index] = await call()
            except Exception as error:  # noqa: BLE001 - handed on below, unwrapped
                if not first_error:
                    first_error.append(error)
                scope.cancel()

    async with anyio.create_task_group() as group:
        for index, call in enumerate(calls):
            group.start_soon(one, index, call, group.cancel_scope)
    if first_error:
        raise first_error[0]
    return results


def run_sync(call: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    """Call an async function from ordinary code, also from a thread or callback inside a running event loop
    (TRL rewards, notebooks): there it runs in a loop of its own in a fresh thread."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return anyio.run(call, *args)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, call, *args).result()
