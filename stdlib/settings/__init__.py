"""`agentlang.toml`: what a program leaves to the place where it runs. Models under other names, the commands of
servers, the addresses of endpoints, the limits of tools; profiles that change some of it.

```toml
[models.writer-small]                 # llm.chat("writer-small") then means this model
use = "smollm2-135m-instruct"

[servers.web]                         # in place of the command that `server web = …` names
command = ["uvx", "web-search"]
env = { KEY = { secret = "SEARCH_KEY" } }

[endpoints.cloud]                     # of `tier cloud = endpoint(…)`
url = "https://models.example/v1"
key = { secret = "REMOTE_KEY" }

[tools]
allow = ["127.0.0.1:8000"]            # private addresses that http tools may reach
env = { KEY = { secret = "SHOP_KEY" } }  # for Python and process tools
memory = "1 GiB"
timeout = "30 s"

[profiles.ci.models.writer-small]     # with --profile ci, or AGENTLANG_PROFILE=ci
use = "smollm2-135m-instruct"
```

Secrets stand here by name only; their values come from the environment or a keyring. The file is checked whole before
anything runs: an unknown word is a problem, never ignored.
"""

from __future__ import annotations

from .apply import applied
from .read import FILE, find, read
from .values import EndpointSettings, ModelSettings, SecretName, ServerSettings, Settings, ToolSettings

__all__ = [
    "FILE",
    "EndpointSettings",
    "ModelSettings",
    "SecretName",
    "ServerSettings",
    "Settings",
    "ToolSettings",
    "applied",
    "find",
    "read",
]
