"""Stands in for vLLM's server: a program that takes its arguments, has a process of its own beside it, and gets ready.

FAKE_VLLM says how it behaves: `good`, `crash`, `deaf` (ignores SIGTERM), `never` (is never ready). The pids of both
processes go to FAKE_VLLM_PIDS, arguments and environment to FAKE_VLLM_SEEN.
"""

import argparse
import http.server
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

behaviour = os.environ.get("FAKE_VLLM", "good")
if behaviour == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
# In a session of its own, so that no signal to the server's group reaches it.
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"
engine = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
temporary = Path(os.environ["FAKE_VLLM_PIDS"] + ".new")
temporary.write_text(f"{os.getpid()} {engine.pid}")
temporary.rename(os.environ["FAKE_VLLM_PIDS"])
Path(os.environ["FAKE_VLLM_SEEN"]).write_text(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ)}))

parser = argparse.ArgumentParser()
for name in ("--model", "--served-model-name", "--host", "--block-size"):
    parser.add_argument(name)
parser.add_argument("--port", type=int)
arguments, _ = parser.parse_known_args()
print("INFO loading weights", flush=True)
if behaviour == "crash":
    print("(EngineCore pid=7) ERROR 11-22 10:00:00 [core.py:1] ValueError: no room for 3 GiB", file=sys.stderr)
    print("(APIServer pid=6) RuntimeError: Engine core initialization failed. See root cause above.", file=sys.stderr)
    sys.exit(1)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if behaviour == "never" else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.HTTPServer((arguments.host, arguments.port), Handler).serve_forever()
