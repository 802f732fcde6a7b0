#!/usr/bin/env python3
"""Renders deploy/base with kubectl kustomize and checks every object.

Strictly against the Kubernetes schemas (unknown fields are errors), then against house policy: probes, equal requests and
limits, non-root, no capabilities, no `latest`, selectors that match pods, target ports that exist, and flags that the programs know.

usage: validate.py [--bin-dir build/host/bin]
needs: kubectl (Debian: kubernetes-client), pip: kubernetes-validate pyyaml
"""
import argparse
import pathlib
import subprocess
import sys

import kubernetes_validate
import yaml

BASE = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "base"
SCHEMA_VERSION = "1.28"


def render():
    text = subprocess.run(["kubectl", "kustomize", str(BASE)], check=True, capture_output=True, text=True).stdout
    return [doc for doc in yaml.safe_load_all(text) if doc]


def pod_template(doc):
    if doc["kind"] in ("Deployment", "StatefulSet", "Job"):
        return doc["spec"]["template"]
    return None


def policy_errors(docs):
    """Yields one line per broken rule."""
    templates = {doc["metadata"]["name"]: pod_template(doc) for doc in docs if pod_template(doc)}
    for name, template in templates.items():
        spec = template["spec"]
        if not spec.get("securityContext", {}).get("runAsNonRoot"):
            yield f"{name}: runs as root"
        if spec.get("securityContext", {}).get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{name}: no seccomp profile"
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        for container in spec["containers"]:
            where = f"{name}/{container['name']}"
            image = container["image"]
            if ":" not in image or image.endswith(":latest"):
                yield f"{where}: image {image} is not pinned"
            resources = container.get("resources", {})
            if not resources.get("requests") or resources.get("requests") != resources.get("limits"):
                yield f"{where}: requests differ from limits"
            security = container.get("securityContext", {})
            if security.get("allowPrivilegeEscalation") is not False or security.get("capabilities", {}).get("drop") != ["ALL"]:
                yield f"{where}: privileges are not dropped"
            if spec.get("restartPolicy") != "Never" and not ("startupProbe" in container and "livenessProbe" in container):
                yield f"{where}: no startup or liveness probe"
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    yield f"{where}: volume {mount['name']} does not exist"
    for doc in docs:
        if doc["kind"] != "Service":
            continue
        selector = doc["spec"]["selector"]
        pods = [t for t in templates.values() if selector.items() <= t["metadata"]["labels"].items()]
        if len(pods) != 1:
            yield f"Service {doc['metadata']['name']}: its selector matches {len(pods)} pod templates"
            continue
        ports = {port["name"] for container in pods[0]["spec"]["containers"] for port in container.get("ports", [])}
        for port in doc["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"Service {doc['metadata']['name']}: no container port {port['targetPort']}"


def flag_errors(docs, bin_dir):
    """Yields flags in the manifests that the built programs do not know."""
    for doc in docs:
        template = pod_template(doc)
        if not template:
            continue
        for container in template["spec"]["containers"]:
            args = container.get("args", [])
            words = [arg for arg in args if not arg.startswith("-")]
            command = [str(bin_dir / container["command"][0]), *words, "--help"]
            help_text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            for arg in args:
                flag = arg.split("=")[0]
                if flag.startswith("--") and flag not in help_text:
                    yield f"{container['command'][0]}: unknown flag {flag}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", type=pathlib.Path, help="check flags against these programs")
    options = parser.parse_args()
    docs = render()
    for doc in docs:
        kubernetes_validate.validate(doc, SCHEMA_VERSION, strict=True)
    errors = list(policy_errors(docs))
    if options.bin_dir:
        errors += flag_errors(docs, options.bin_dir)
    for error in errors:
        print(error, file=sys.stderr)
    print(f"{len(docs)} objects valid" if not errors else f"{len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
