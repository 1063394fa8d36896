"""An HTTP server for a test, which stands for a network peer."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

from aiohttp import web
from sandbox_fixtures import PATIENCE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ThreadedServer:
    """An HTTP server on a free port of loopback, in a thread of its own."""

    def __init__(self, *routes: web.RouteDef) -> None:
        self.url = ""
        self.unanswered = 0
        """Requests that it has and has not answered yet."""
        self._routes = routes
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._started.wait(PATIENCE)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._start())
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        unfinished = asyncio.all_tasks(self._loop)
        for task in unfinished:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*unfinished, return_exceptions=True))
        self._loop.close()

    async def _start(self) -> web.AppRunner:
        app = web.Application(middlewares=[self._count])
        app.add_routes(self._routes)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.unanswered += 1
        try:
            return await handler(request)
        except ConnectionResetError:
            # Whoever asked has gone without waiting for the end, as the bot does from an answer that goes in circles.
            return web.Response()
        finally:
            self.unanswered -= 1
