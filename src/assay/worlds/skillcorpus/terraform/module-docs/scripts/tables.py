import pathlib
import re
import sys

BLOCK = re.compile(r'^(variable|output) "(\w+)" \{(.*?)^\}', re.S | re.M)


def field(body, name):
    found = re.search(rf"^\s*{name}\s*=\s*(.+?)\s*$", body, re.M)
    return found[1].strip('"') if found else ""


root = pathlib.Path(sys.argv[1])
text = {p: p.read_text(encoding="utf-8") for p in sorted(root.glob("*.tf"))}
everything = "\n".join(text.values())
inputs, outputs = [], []
for body in text.values():
    for kind, name, inside in BLOCK.findall(body):
        if kind == "output":
            outputs.append(f"| `{name}` | {field(inside, 'description')} |")
            continue
        secret = field(inside, "sensitive") == "true"
        default = "🔒" if secret else field(inside, "default") or "*required*"
        unused = "" if f"var.{name}" in everything else " (never used)"
        inputs.append(f"| `{name}` | {field(inside, 'type')} | {default} | {field(inside, 'description')}{unused} |")

print("| input | type | default | what for |", "|---|---|---|---|", *inputs, "", sep="\n")
print("| output | what it is |", "|---|---|", *outputs, sep="\n")
