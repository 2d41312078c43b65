"""A process that holds no certificate, as another user if there is one to be: what does dask's scheduler answer it?

stranger.py HOST:PORT [UID] prints "refused" or the scheduler's answer: the user that it runs as.
"""

import asyncio
import os
import sys

from distributed.core import rpc
from distributed.protocol.pickle import dumps
from distributed.security import Security


async def ask(address: str, security: Security) -> object:
    """Ask the scheduler to run a function, as anybody may who reaches one without certificates."""
    arguments = security.get_connection_args("client")
    async with rpc(address, connection_args=arguments, timeout=5) as scheduler:
        return await asyncio.wait_for(scheduler.run_function(function=dumps(os.getuid)), 10)


def main(place: str, user: str | None = None) -> None:
    """Try without certificates and with others than the scheduler's."""
    ways = {"tcp": Security(), "tls": Security.temporary()}
    if user is not None:
        os.setuid(int(user))
    for protocol, security in ways.items():
        try:
            answer = asyncio.run(ask(f"{protocol}://{place}", security))
        except Exception as error:
            answer = f"refused: {type(error).__name__}"
        print(protocol, answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
