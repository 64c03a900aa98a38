"""What the calls of JavaScript's libraries mean to a reader of data flow, and small questions about its syntax tree."""

from __future__ import annotations

import re

import tree_sitter

NETWORK = re.compile(
    r"^(?:fetch|node-fetch(?:\.default)?|undici\.(?:fetch|request)|globalThis\.fetch|window\.fetch"
    r"|axios(?:\.\w+)?|got(?:\.\w+)?"
    r"|superagent\.\w+|needle(?:\.\w+)?|request(?:\.\w+)?|https?\.(?:request|get)|net\.(?:connect|createConnection)"
    r"|navigator\.sendBeacon|ws|WebSocket|XMLHttpRequest|dns\.(?:resolve\w*|lookup)|tls\.connect)$"
)
SEND_METHODS = frozenset(("write", "end", "send"))
EVALUATORS = re.compile(
    r"^(?:eval|Function|globalThis\.eval|vm\.(?:runIn\w+|Script|compileFunction)|setTimeout\$text"
    r"|require\$dynamic|import\$dynamic)$"
)
PROCESSES = re.compile(
    r"^(?:child_process\.(?:exec|execSync|spawn|spawnSync|execFile|execFileSync|fork)|execa(?:\.\w+)?"
    r"|shelljs\.exec|zx\.\$|Bun\.spawn)$"
)
READS = re.compile(
    r"^(?:fs(?:\.promises|/promises)?|fs-extra)\.(?:readFile|readFileSync|createReadStream|open|openSync)$"
    r"|^Deno\.readTextFile$"
)
WALKS = re.compile(
    r"^(?:fs(?:\.promises|/promises)?|fs-extra)\.(?:readdir|readdirSync|opendir)$|^(?:glob|fast-glob|globby)(?:\.\w+)?$"
)
WRITES = re.compile(
    r"^(?:fs(?:\.promises|/promises)?|fs-extra)\.(?:writeFile|writeFileSync|appendFile|appendFileSync"
    r"|createWriteStream)$"
)
CHMOD = re.compile(r"^fs(?:\.promises|/promises)?\.chmod(?:Sync)?$")
LOGS = re.compile(r"^console\.\w+$")
DECODERS = re.compile(
    r"^(?:atob|Buffer\.from\$base64|Buffer\.from\$hex|zlib\.(?:inflate\w*|gunzip\w*|unzip\w*|brotliDecompress\w*)"
    r"|String\.fromCharCode|unescape)$"
)
HOST_INFO = re.compile(r"^os\.(?:userInfo|hostname|networkInterfaces|platform|release)$")
FLOWING = frozenset(
    (
        "environ",
        "secret-env",
        "env",
        "credentials",
        "home-files",
        "files",
        "input",
        "clipboard",
        "host-info",
        "context",
        "network",
        "downloaded",
        "decoded",
    )
)


def source_text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode("utf-8", errors="replace")


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


def returns(body: tree_sitter.Node) -> list[tree_sitter.Node]:
    """Return statements of a function's body, those of inner functions left out."""
    found, todo = [], list(body.named_children)
    while todo:
        node = todo.pop()
        if node.type == "return_statement":
            found.append(node)
        elif node.type not in (
            "function_declaration",
            "generator_function_declaration",
            "arrow_function",
            "function_expression",
            "method_definition",
        ):
            todo += node.named_children
    return found


def field(node: tree_sitter.Node, name: str) -> str:
    """Text of `name: "..."` in an options object of the call."""
    match = re.search(rf"\b{name}\s*:\s*['\"`]([^'\"`]{{1,300}})['\"`]", source_text(node)[:4000])
    return match.group(1) if match else ""


def in_headers(node: tree_sitter.Node) -> bool:
    """Whether the call's variables from the environment stand only in its headers."""
    source = source_text(node)[:4000]
    headers = re.search(r"headers\s*:\s*(?:\{[^{}]{0,1500}(?:\{[^{}]{0,300}\}[^{}]{0,1500}){0,10}\}|\w+)", source)
    if headers is None:
        return False
    rest = source[: headers.start()] + source[headers.end() :]
    return "process.env" not in rest
