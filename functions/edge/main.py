"""HTTP: one address for all public functions, where no load balancer has one.

The one function that runs others. It imports none of them until a request is theirs, so a cold start waits for that one
application (docs/decisions/0071-one-address-without-a-domain.md).
"""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.edge.applications import Applications
from shared.http import api, serve
from shared.http.health import CHECKS
from shared.http.serve import unversioned
from shared.manifest import manifest, serving

HEALTH = "/health"

# its own routes are those of its health, which is that of everything that it stands for
own = serve(api("edge", "One address for all public functions.", needs=CHECKS))
paths = manifest().paths | {HEALTH: "edge"}
# as behind the load balancer, the function of the pages answers what no other serves
pages = paths["/"]
applications = Applications({"edge": own})


@functions_framework.aio.http
async def edge(request: Request) -> Response:
    """Return the response of the application that serves the request's path."""
    name = serving(paths, unversioned(request.scope["path"])) or pages
    application = applications.loaded.get(name) or await applications.load(name)
    response: Response = await application(request)
    return response
