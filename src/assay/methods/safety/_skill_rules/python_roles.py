"""What a library call of a skill's Python does to the flow of data: sources, sinks, and plain passing on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import replace

from . import python_calls as calls
from .code import Code
from .facts import CREDENTIAL_PATH, Fact, env_label
from .python_lines import line_facts
from .python_taint import Reader, parse
from .python_values import FLOWING, NOTHING, Call, Value, host, is_home, join


def python_facts(pieces: Iterable[Code]) -> tuple[list[Fact], list[Code]]:
    """(facts, shell commands found in strings) of all Python pieces of one skill, read together."""
    reader = Reader(result_of_call)
    for code in pieces:
        tree = parse(code.text)
        if tree is None:
            reader.facts.update(dict.fromkeys(line_facts(code)))
        else:
            reader.add(code, tree)
    reader.read()
    return list(reader.facts), list(reader.commands)


def result_of_call(reader: Reader, call: Call) -> Value:
    """Report what the call does and return its value."""
    for role in (_environment, _evaluator, _process, _network, _path, _file, _privilege, _decoder, _output):
        value = role(reader, call)
        if value is not None:
            return value
    return _passed_on(call)


def _passed_on(call: Call) -> Value:
    name = call.name
    if name in calls.SOURCES:
        label = calls.SOURCES[name]
        return join([*call.values, Value(frozenset({label}))], call.argument(0).text)
    if name == "getattr" and call.positional and call.argument(1).text:
        return Reader.library(f"{call.positional[0].origin}.{call.argument(1).text}", call.positional[0].labels)
    if call.method in (
        "format",
        "strip",
        "lower",
        "upper",
        "decode",
        "encode",
        "resolve",
        "expanduser",
        "absolute",
        "replace",
    ):
        text = call.receiver.text
        return Value(join([call.receiver, *call.values]).labels, text)
    if call.method == "join" and isinstance(call.node.func, ast.Attribute) and _has_chr(call.node):
        return Value(frozenset({"decoded"}))
    if name in calls.CLIENTS:
        return Value(join(call.values).labels, call.argument(0, "base_url").text, name)
    if call.method in ("update", "append", "extend", "add", "setdefault", "insert") and isinstance(
        call.node.func, ast.Attribute
    ):
        merged = replace(call.receiver, labels=call.receiver.labels | join(call.values).labels)
        reader_bind(call, merged)
        return merged
    if call.method in ("parse_args", "parse_known_args"):
        return Value(frozenset({"input"}))
    labels = join([call.receiver, *call.values]).labels
    origin = name if call.receiver.origin or name in ("logging.getLogger",) else ""
    single = call.positional[0].text if name in ("str", "bytes", "Path", "pathlib.Path") and call.positional else None
    return Value(labels, single, origin if not labels else "")


def reader_bind(call: Call, value: Value) -> None:
    """`box.append(x)`: what flows into the method flows into `box`."""
    target = call.node.func.value if isinstance(call.node.func, ast.Attribute) else None
    if isinstance(target, ast.Name):
        call.frame.names[target.id] = value


def _has_chr(node: ast.Call) -> bool:
    return any(
        isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "chr" for n in ast.walk(node)
    ) or any(isinstance(n, ast.Name) and n.id == "chr" for a in node.args for n in ast.walk(a))


def _environment(reader: Reader, call: Call) -> Value | None:
    """os.getenv("X"), os.environ.get("X", default), dict(os.environ), os.environ.items()."""
    if call.name == "os.getenv" or call.name in ("os.environ.get", "os.environ.pop", "os.environ.setdefault"):
        key = call.argument(0, "key").text
        label = env_label(key) if key else "environ"
        return Value(frozenset({label}), call.argument(1, "default").text)
    if call.name.startswith("os.environ.") and call.method in ("items", "copy", "values", "keys"):
        reader.fact("environ-read", "os.environ", call.node, call.frame)
        return Value(frozenset({"environ"}))
    if call.name in ("dict", "json.dumps", "str", "repr", "list") and any(
        v.origin == "os.environ" for v in call.positional
    ):
        reader.fact("environ-read", "os.environ", call.node, call.frame)
        return Value(frozenset({"environ"}))
    return None


def _evaluator(reader: Reader, call: Call) -> Value | None:
    if call.name not in calls.EVALUATORS:
        return None
    if call.name == "__import__" or call.name == "importlib.import_module":
        text = call.argument(0).text
        if text is not None and "{}" not in text:
            return Value(origin=text)
    for label in sorted(join(call.values).labels & FLOWING):
        reader.fact(f"{label}->exec", call.name, call.node, call.frame)
    if call.name in ("exec", "eval"):
        reader.fact("evaluator", call.name, call.node, call.frame)
    return join(call.values)


def _process(reader: Reader, call: Call) -> Value | None:
    if call.name not in calls.PROCESSES:
        return None
    command = call.argument(0, "args", "command")
    labels = command.labels | call.keywords.get("input", NOTHING).labels
    text = command.text or ""
    if text.strip():
        reader.command(text, call.node, call.frame)
    sink = "network" if re.search(r"\b(?:curl|wget|nc|ncat|scp|rsync|ssh|aws s3)\b", text) else "shell"
    for label in sorted(labels & FLOWING):
        reader.fact(f"{label}->{sink}", host(text) if sink == "network" else text, call.node, call.frame)
    if call.keywords.get("env", NOTHING).labels and sink == "network":
        reader.fact("environ->network", text, call.node, call.frame)
    return Value(_output_labels(text))


def _output_labels(command: str) -> frozenset[str]:
    """What a process hands back."""
    if re.match(r"\s*(?:env|printenv|set|export -p)\b", command):
        return frozenset({"environ"})
    if re.match(r"\s*(?:pbpaste|xclip|xsel|wl-paste)\b", command):
        return frozenset({"clipboard"})
    if re.search(r"\b(?:curl|wget)\b", command):
        return frozenset({"network"})
    if re.search(
        r"find-generic-password|find-internet-password|gh auth token|print-access-token", command
    ) or CREDENTIAL_PATH.search(command):
        return frozenset({"credentials"})
    if re.search(r"\bbase64 (?:-d|--decode|-D)\b|\bxxd -r", command):
        return frozenset({"decoded"})
    if re.match(r"\s*(?:whoami|hostname|id|uname|ifconfig|ip addr)\b", command):
        return frozenset({"host-info"})
    return frozenset()


_UPLOADS = frozenset(
    [
        "post",
        "put",
        "patch",
        "send",
        "sendall",
        "sendto",
        "sendmail",
        "send_message",
        "storbinary",
        "storlines",
        "put_object",
        "upload_file",
        "upload_fileobj",
    ]
)


def _network(reader: Reader, call: Call) -> Value | None:
    name = call.name
    method_of_client = (
        call.receiver.origin in calls.CLIENTS and f"{call.receiver.origin}.{call.method}" in calls.NETWORK
    )
    if name not in calls.NETWORK and not method_of_client:
        return None
    place = call.argument(0, "url", "host", "address")
    verb_first = call.method == "request" and len(call.positional) > 1
    target = next((host(v.text) for v in ([call.positional[1]] if verb_first else [place]) if v.text), "")
    target = target or host(call.receiver.text)
    reader.fact("network", target, call.node, call.frame)
    if (
        call.method in _UPLOADS
        or any(k in call.keywords for k in ("data", "json", "files", "content", "body"))
        or (call.name in ("urllib.request.urlopen", "urllib.request.Request") and len(call.positional) > 1)
    ):
        reader.fact("upload", target, call.node, call.frame)
    credentials = frozenset().union(*(v.labels for k, v in call.keywords.items() if k in calls.AUTH_KEYWORDS))
    sent = join([*call.positional, *(v for k, v in call.keywords.items() if k not in calls.AUTH_KEYWORDS)]).labels
    if call.name == "urllib.request.urlopen" or call.receiver.origin in calls.CLIENTS:
        sent |= call.receiver.labels
    for label in sorted((sent | (credentials - {"secret-env", "env"})) & FLOWING):
        reader.fact(f"{label}->network", target, call.node, call.frame)
    if credentials & {"secret-env", "env"}:
        reader.fact("secret-env->auth", target, call.node, call.frame)
    if name in calls.CLIENTS:
        return Value(sent | credentials, place.text, name)
    if name in calls.DOWNLOADS:
        _mark_downloaded(call, call.node.args[1] if len(call.node.args) > 1 else None)
    return Value(frozenset({"network"}))


def _mark_downloaded(call: Call, target: ast.expr | None) -> None:
    """The file written from a network reply: whoever runs or reads it gets that reply."""
    if isinstance(target, ast.Call) and target.args:
        target = target.args[0]  # str(path)
    if isinstance(target, ast.Name):
        known = call.frame.names.get(target.id, NOTHING)
        call.frame.names[target.id] = replace(known, labels=known.labels | {"downloaded"})


def _path(reader: Reader, call: Call) -> Value | None:
    """Building paths and walking them."""
    if call.name in ("Path", "pathlib.Path", "pathlib.PurePath", "Path.expanduser"):
        text = "/".join("{}" if v.text is None else v.text for v in call.positional) or "."
        return Value(join(call.positional).labels, text)
    if call.name in ("Path.home", "pathlib.Path.home"):
        return Value(text="~")
    if call.name in ("os.path.expanduser", "os.path.abspath", "os.path.realpath", "os.path.expandvars", "os.fspath"):
        return call.argument(0)
    if call.name in ("os.path.join", "posixpath.join"):
        return join(call.positional, "/".join("{}" if v.text is None else v.text.rstrip("/") for v in call.positional))
    if call.name in calls.WALKS:
        root = call.argument(0, "top", "path", "pathname")
    elif (
        call.method in calls.PATH_WALKS
        and call.receiver.origin not in ("ast", "os")
        and (call.receiver.text or call.receiver.labels)
    ):
        root = call.receiver
    else:
        return None
    if is_home(root.text):
        reader.fact("home-walk", root.text or "", call.node, call.frame)
        return Value(frozenset({"home-files"}), root.text + "/{}" if root.text else None)
    labels = reader.path_facts(root.text, call.node, call.frame)
    if "credentials" in labels:
        reader.fact("home-walk", root.text or "", call.node, call.frame)
    return Value(labels | root.labels, f"{root.text}/{{}}" if root.text else None)


def _file(reader: Reader, call: Call) -> Value | None:
    """Opening, reading, writing and copying files."""
    if call.name in calls.OPENERS:
        path, mode = call.argument(0, "file"), call.argument(1, "mode").text or "r"
        writes = any(c in mode for c in "wax") and call.name != "sqlite3.connect"
        labels = reader.path_facts(path.text, call.node, call.frame, writes)
        target = call.node.args[0] if call.node.args else None
        handle = f"file:{target.id}" if writes and isinstance(target, ast.Name) else ""
        return Value(labels | (frozenset() if writes else path.labels), path.text, handle)
    if call.name in calls.COPIERS:
        return Value(reader.path_facts(call.argument(0, "src").text, call.node, call.frame) | call.argument(0).labels)
    if (
        call.method in ("read_text", "read_bytes", "open")
        and isinstance(call.node.func, ast.Attribute)
        and not call.receiver.origin
    ):
        return Value(
            reader.path_facts(call.receiver.text, call.node, call.frame) | call.receiver.labels, call.receiver.text
        )
    if call.method in calls.WRITERS and isinstance(call.node.func, ast.Attribute) and call.name not in calls.LOGS:
        reader.path_facts(call.receiver.text, call.node, call.frame, writes=True)
        return _written(reader, call, join(call.values).labels)
    if call.name in calls.DUMPERS:
        return _written(reader, call, call.argument(0).labels)
    return None


def _written(reader: Reader, call: Call, labels: frozenset[str]) -> Value:
    for label in sorted(labels & FLOWING):
        reader.fact(f"{label}->file", call.receiver.text or "", call.node, call.frame)
    if "network" in labels:
        name = call.receiver.origin.removeprefix("file:") if call.receiver.origin.startswith("file:") else ""
        target: ast.expr | None = ast.Name(name) if name else None
        if target is None and isinstance(call.node.func, ast.Attribute):
            target = call.node.func.value
        _mark_downloaded(call, target)
    return NOTHING


def _privilege(reader: Reader, call: Call) -> Value | None:
    first = call.argument(0).text or ""
    if call.name in ("os.setuid", "os.seteuid", "os.setgid", "os.setresuid") and first == "0":
        reader.fact("setuid", call.name, call.node, call.frame)
    elif call.name == "os.chmod" or call.method == "chmod":
        mode = call.argument(1 if call.name == "os.chmod" else 0, "mode").text or ""
        bits = int(mode) if mode.isdigit() else 0
        if bits & 0o6000:
            reader.fact("setuid", oct(bits), call.node, call.frame)
        elif bits & 0o002:
            reader.fact("chmod-open", oct(bits), call.node, call.frame)
    elif "ShellExecute" in call.method and any(v.text == "runas" for v in call.values):
        reader.fact("sudo", "runas", call.node, call.frame)
    elif call.name in ("os.geteuid", "os.getuid"):
        reader.fact("root-check", call.name, call.node, call.frame)
    elif call.name in ("dotenv.load_dotenv",):
        return NOTHING
    elif calls.SOURCES.get(call.name) == "credentials":
        reader.fact("credential-read", call.name, call.node, call.frame)
    return None


def _decoder(reader: Reader, call: Call) -> Value | None:
    unhex = call.method == "fromhex"
    if call.name not in calls.DECODERS and not unhex:
        return None
    inner = join([call.receiver, *call.values])
    if "decoded" in inner.labels:
        reader.fact("decode-layer", call.name, call.node, call.frame)
    if call.name == "codecs.decode" and (call.argument(1, "encoding").text or "") in (
        "utf-8",
        "utf8",
        "latin-1",
        "ascii",
    ):
        return inner
    return Value(inner.labels | {"decoded"})


def _output(reader: Reader, call: Call) -> Value | None:
    logs = call.name in calls.LOGS or (
        call.receiver.origin in ("logger", "log", "logging.getLogger")
        and call.method in ("info", "debug", "warning", "error")
    )
    if not logs:
        return None
    for label in sorted(join(call.values).labels & {"environ", "secret-env", "credentials", "context"}):
        reader.fact(f"{label}->log", call.name, call.node, call.frame)
    return NOTHING
