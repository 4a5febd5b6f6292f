"""A small server with the part of the Hugging Face Hub's interface that `huggingface_hub` calls for models.

Repositories live in memory. Files whose names end with one of `LFS_SUFFIXES` are uploaded by Git LFS, as the Hub
decides; all others in the commit.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LFS_SUFFIXES = (".safetensors", ".zip", ".wav", ".png", ".mid")
TOKEN = "hf_secret_of_the_test"


@dataclass
class Repository:
    """Commits of a repository: their files by their hash, the newest last."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes]) -> str:
        text = repr((len(self.commits), sorted((name, hashlib.sha256(data).digest()) for name, data in files.items())))
        sha = hashlib.sha1(text.encode()).hexdigest()
        self.commits[sha] = files
        return sha

    def resolve(self, revision: str) -> str | None:
        return next(reversed(self.commits)) if revision == "main" else revision if revision in self.commits else None

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[next(reversed(self.commits))]


@dataclass
class FakeHub:
    """The server's state, to be looked at and changed by tests."""

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)  # of Git LFS, by SHA-256
    requests: list[str] = field(default_factory=list)
    answer: int | None = None  # status of every answer, in place of the true one

    def add(self, repo: str, files: dict[str, bytes], *, private: bool = False) -> str:
        """Put a repository there, and return its commit."""
        self.repositories[repo] = Repository(private)
        return self.repositories[repo].commit({".gitattributes": b"*.zip filter=lfs\n", **files})


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def send(self, status: int, body: bytes | Any = b"", **headers: str) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"{self.command} {path}")
            if hub.answer is not None:
                self.send(hub.answer, {"error": "no"}, X_Error_Message="no")
            elif path.startswith("/api/models/"):
                self.models(path.removeprefix("/api/models/").split("/"), body)
            elif path == "/api/repos/create":
                self.create(json.loads(body))
            elif path == "/api/validate-yaml":
                self.send(200, {"warnings": [], "errors": []})
            elif path.endswith(".git/info/lfs/objects/batch"):
                self.lfs(json.loads(body))
            elif path.startswith("/lfs/"):
                assert hashlib.sha256(body).hexdigest() == path.removeprefix("/lfs/")
                hub.objects[path.removeprefix("/lfs/")] = body
                self.send(200)
            elif "/resolve/" in path:
                self.resolve(path)
            else:
                self.send(404, {"error": path})

        do_GET = do_HEAD = do_POST = do_PUT = handle_request  # noqa: N815  # the names that http.server calls

        @property
        def may_write(self) -> bool:
            return self.headers.get("Authorization") == f"Bearer {TOKEN}"

        def repository(self, repo: str) -> Repository | None:
            found = hub.repositories.get(repo)
            if found is None or (found.private and not self.may_write):
                self.send(404 if self.may_write else 401, {"error": "x"}, X_Error_Code="RepoNotFound")
                return None
            return found

        def create(self, asked: dict[str, Any]) -> None:
            repo = f"{asked['organization']}/{asked['name']}"
            if not self.may_write:
                self.send(401, {"error": "x"}, X_Error_Message="Invalid credentials in Authorization header")
                return
            if repo in hub.repositories:
                self.send(409, {"error": "You already created this model repo", "url": f"{hub.address}/{repo}"})
                return
            hub.add(repo, {}, private=asked.get("visibility") == "private" or bool(asked.get("private")))
            self.send(200, {"url": f"{hub.address}/{repo}"})

        def models(self, parts: list[str], body: bytes) -> None:
            found = self.repository("/".join(parts[:2]))
            if found is None:
                return
            action, revision = (*parts[2:4], "main")[:2] if len(parts) > 2 else ("revision", "main")
            commit = found.resolve(revision)
            if commit is None:
                self.send(404, {"error": "x"}, X_Error_Code="RevisionNotFound")
            elif action == "revision":
                files = found.commits[commit]
                siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
                about = {"id": "/".join(parts[:2]), "sha": commit, "private": found.private, "siblings": siblings}
                self.send(200, {**about, "tags": [], "downloads": 0, "likes": 0})
            elif action == "preupload":
                self.send(200, {"files": [_mode(each["path"]) for each in json.loads(body)["files"]]})
            elif action == "commit":
                self.commit("/".join(parts[:2]), found, [json.loads(line) for line in body.splitlines()])
            else:
                self.send(404, {"error": action})

        def commit(self, repo: str, found: Repository, operations: list[dict[str, Any]]) -> None:
            files = dict(found.files)
            for each in operations:
                value = each["value"]
                if each["key"] == "header" and value.get("parentCommit") not in (None, found.resolve("main")):
                    self.send(412, {"error": "A commit has happened since"})
                    return
                if each["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif each["key"] == "lfsFile":
                    files[value["path"]] = hub.objects[value["oid"]]
                elif each["key"] == "deletedFile":
                    del files[value["path"]]
            commit = found.commit(files)
            self.send(200, {"commitUrl": f"{hub.address}/{repo}/commit/{commit}", "commitOid": commit})

        def lfs(self, asked: dict[str, Any]) -> None:
            objects = [
                each
                if each["oid"] in hub.objects
                else {**each, "actions": {"upload": {"href": f"{hub.address}/lfs/{each['oid']}"}}}
                for each in asked["objects"]
            ]
            self.send(200, {"transfer": "basic", "objects": objects}, Content_Type="application/vnd.git-lfs+json")

        def resolve(self, path: str) -> None:
            repo, _, rest = path[1:].partition("/resolve/")
            revision, _, name = rest.partition("/")
            found = self.repository(repo)
            if found is None:
                return
            commit = found.resolve(revision)
            if commit is None or name not in found.commits[commit]:
                self.send(404, {"error": "x"}, X_Error_Code="EntryNotFound")
                return
            data = found.commits[commit][name]
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            self.send(200, data, X_Repo_Commit=commit, ETag=etag, Content_Type="application/octet-stream")

    return Handler


def _mode(path: str) -> dict[str, Any]:
    return {"path": path, "uploadMode": "lfs" if path.endswith(LFS_SUFFIXES) else "regular", "shouldIgnore": False}


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    """A server on a free port of this machine."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
