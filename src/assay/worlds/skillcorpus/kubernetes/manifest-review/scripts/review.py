import sys

import yaml


def containers(document):
    spec = document.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    return spec.get("template", {}).get("spec", {}), spec.get("template", {}).get("spec", {}).get("containers", [])


def findings(document):
    pod, found = containers(document)
    for volume in pod.get("volumes", []):
        path = volume.get("hostPath", {}).get("path", "")
        if path and not path.startswith("/var/log"):
            yield "must", f"hostPath {path}"
    for container in found:
        name, security = container["name"], container.get("securityContext", {})
        if "memory" not in container.get("resources", {}).get("limits", {}):
            yield "must", f"{name}: no memory limit"
        if security.get("privileged"):
            yield "must", f"{name}: privileged"
        if "readinessProbe" not in container:
            yield "should", f"{name}: no readiness probe"
        if not (security.get("runAsNonRoot") or pod.get("securityContext", {}).get("runAsNonRoot")):
            yield "should", f"{name}: may run as root"
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        if "@" not in container["image"] and tag in ("", "latest"):
            yield "should", f"{name}: image {container['image']} floats"


for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as handle:
        for document in yaml.safe_load_all(handle):
            if document:
                for grade, text in findings(document):
                    print(f"{path}: {document['kind']}/{document['metadata']['name']}: {grade}: {text}")
