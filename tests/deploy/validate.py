#!/usr/bin/env python3
"""Renders deploy/base with kubectl kustomize and checks every object.

Strictly against the Kubernetes schemas (unknown fields are errors), then against house policy: probes (of readiness, too, behind a
service that hides unready pods), equal requests and limits, non-root, no capabilities, no `latest`, selectors that match pods, target
ports that exist, and flags that the programs know. The image must carry the libraries that the programs load.

usage: validate.py [--bin-dir build/host/bin]
needs: kubectl (Debian: kubernetes-client), pip: kubernetes-validate pyyaml
"""
import argparse
import pathlib
import re
import subprocess
import sys

import kubernetes_validate
import yaml

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
BASE = DEPLOY / "base"
DOCKERFILE = DEPLOY / "Dockerfile"
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
        if not doc["spec"].get("publishNotReadyAddresses") and not any(
                "readinessProbe" in container for container in pods[0]["spec"]["containers"]):
            yield f"Service {doc['metadata']['name']}: its pods have no readiness probe"
        ports = {port["name"] for container in pods[0]["spec"]["containers"] for port in container.get("ports", [])}
        for port in doc["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"Service {doc['metadata']['name']}: no container port {port['targetPort']}"


def containers(docs):
    for doc in docs:
        template = pod_template(doc)
        yield from template["spec"]["containers"] if template else []


def claim_errors(docs):
    """Yields volumes whose claim is nowhere, and drains that are cut off: a pod's grace is over that of what runs in it."""
    claims = {doc["metadata"]["name"] for doc in docs if doc["kind"] == "PersistentVolumeClaim"}
    for doc in docs:
        if not pod_template(doc):
            continue
        spec = pod_template(doc)["spec"]
        for volume in spec.get("volumes", []):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and claim not in claims:
                yield f"{doc['metadata']['name']}: volume {volume['name']} claims {claim}, which does not exist"
        for container in spec["containers"]:
            for arg in container.get("args", []):
                if arg.startswith("--stop-grace=") and float(arg.partition("=")[2]) >= spec.get("terminationGracePeriodSeconds", 30):
                    yield f"{container['name']}: {arg} is not below the pod's grace"


def probe_errors(docs):
    """Yields probes that ask a port or read a directory that their container does not have."""
    for container in containers(docs):
        ports = {str(port["containerPort"]) for port in container.get("ports", [])}
        names = {port["name"] for port in container.get("ports", [])}
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            for how in ("httpGet", "tcpSocket"):
                port = container.get(kind, {}).get(how, {}).get("port")
                if port is not None and str(port) not in names | ports:
                    yield f"{container['name']}: its {kind} asks port {port}, which it does not have"
        mounts = tuple(mount["mountPath"] + "/" for mount in container.get("volumeMounts", []))
        for arg in container.get("readinessProbe", {}).get("exec", {}).get("command", []):
            value = arg.partition("=")[2]
            if value.startswith("grpc://") and value.rpartition(":")[2] not in ports:
                yield f"{container['name']}: its readiness probe asks {value}, where it does not listen"
            if value.startswith("/") and not value.startswith(mounts):
                yield f"{container['name']}: its readiness probe reads {value}, which nothing mounts"


def flag_errors(docs, bin_dir):
    """Yields flags in the manifests, probes included, that the built programs do not know."""
    commands = [container["command"] + container.get("args", []) for container in containers(docs)]
    commands += [container["readinessProbe"]["exec"]["command"] for container in containers(docs)
                 if "exec" in container.get("readinessProbe", {})]
    for program, *args in commands:
        words = [arg for arg in args if not arg.startswith("-")]
        help_text = subprocess.run([str(bin_dir / program), *words, "--help"], check=True, capture_output=True, text=True).stdout
        for arg in args:
            flag = arg.split("=")[0]
            if flag.startswith("--") and flag not in help_text:
                yield f"{program}: unknown flag {flag}"


def lines_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def image_errors(bin_dir):
    """Yields packages of the image that its distribution does not have, and those that it lacks. Silent on other distributions."""
    if "VERSION_CODENAME=bookworm" not in pathlib.Path("/etc/os-release").read_text().splitlines():
        return
    final_stage = DOCKERFILE.read_text().rpartition("\nFROM ")[2].replace("\\\n", " ")
    installed = re.search(r"apt-get install ([^&]*)", final_stage).group(1).split()
    packages = [word for word in installed if not word.startswith("-")]
    known = set(lines_of("apt-cache", "pkgnames"))
    yield from (f"Dockerfile: Debian 12 has no package {package}" for package in packages if package not in known)
    depends = lines_of("apt-cache", "depends", "--recurse", "--installed", "--important", *(p for p in packages if p in known))
    carried = [line for line in depends if line[0] not in " <|"]
    files = {pathlib.Path(path).name for path in lines_of("dpkg-query", "-L", *carried)}
    for program in ("regatta", "regatta-router", "regatta-worker"):
        for line in lines_of("ldd", str(bin_dir / program)):
            library = line.split()[0]
            if " => /" in line and library not in files:
                yield f"Dockerfile: {program} loads {library}, which the image lacks"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", type=pathlib.Path, help="check flags against these programs")
    options = parser.parse_args()
    docs = render()
    for doc in docs:
        kubernetes_validate.validate(doc, SCHEMA_VERSION, strict=True)
    errors = [*policy_errors(docs), *claim_errors(docs), *probe_errors(docs)]
    if options.bin_dir:
        errors += [*flag_errors(docs, options.bin_dir), *image_errors(options.bin_dir)]
    for error in errors:
        print(error, file=sys.stderr)
    print(f"{len(docs)} objects valid" if not errors else f"{len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
