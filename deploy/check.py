"""Checks the Helm chart and the compose file: `cargo xtask test --only deploy`.

The chart is linted and rendered by Helm's own engine, with each value that matters; what comes out has to be valid for the oldest and the
newest Kubernetes that are known here, to keep to its restricted profile, and to be what the case expects.
"""

import argparse
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

import helm_python as helm
import kubernetes_validate
import yaml
from compose_spec import PyCompose

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy/helm/strongroom"
KUBERNETES = ["1.25", kubernetes_validate.latest_version()]

DATABASE = {
    "rootKey": {"secret": "root"},
    "database": {"url": "postgres://strongroom@db:5432/strongroom?sslmode=verify-full", "passwordSecret": "db", "caSecret": "ca"},
}


def objects(values):
    """What Kubernetes is given, by kind."""
    with helm.Chart.load(str(CHART)) as chart:
        files = chart.render(values, name="demo", namespace="prod")
    notes = files.pop("strongroom/templates/NOTES.txt")
    found = {}
    for text in files.values():
        for thing in yaml.safe_load_all(text):
            if thing is None:
                continue
            for version in KUBERNETES:
                kubernetes_validate.validate(thing, version, strict=True)
            assert thing["kind"] not in found, thing["kind"]
            found[thing["kind"]] = thing
    return found, notes


def pod_of(found):
    pod = found.get("Deployment", found.get("StatefulSet"))["spec"]["template"]["spec"]
    # The restricted profile of the Pod Security Standards, and no token of Kubernetes.
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    # Each mount has its volume, and nothing is there twice.
    mounts = [mount["name"] for mount in container["volumeMounts"]]
    claims = found.get("StatefulSet", {}).get("spec", {}).get("volumeClaimTemplates", [])
    volumes = [volume["name"] for volume in pod.get("volumes", [])] + [claim["metadata"]["name"] for claim in claims]
    assert sorted(mounts) == sorted(volumes) and len(set(mounts)) == len(mounts), (mounts, volumes)
    # Each file that a setting names is mounted.
    env = environment(container)
    for name, value in env.items():
        assert known(name), name
        if value.startswith("/run/secrets/"):
            folder, file = value.rsplit("/", 1)
            mount = next(mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == folder)
            secret = next(volume["secret"] for volume in pod["volumes"] if volume["name"] == mount)
            assert "items" not in secret or [item["path"] for item in secret["items"]] == [file]
            assert secret["defaultMode"] == 0o400
    return pod, container, env


def environment(container):
    return {variable["name"]: variable["value"] for variable in container["env"]}


def known(name):
    """Whether it is a setting that is documented."""
    documented = (ROOT / "docs/configuration.md").read_text()
    return f"`{name}`" in documented


def refused(values, why):
    try:
        objects(values)
    except helm.HelmError as error:
        assert why in str(error), error
    else:
        raise AssertionError(f"{values} is not refused")


def chart():
    messages = helm.lint(str(CHART))
    assert not messages["errors"], messages
    assert [message["error"] for message in messages["messages"]] == ["icon is recommended"], messages

    found, notes = objects({})
    assert sorted(found) == ["Service", "StatefulSet"]
    pod, container, env = pod_of(found)
    assert found["StatefulSet"]["spec"]["replicas"] == 1
    assert env["STRONGROOM_PLAIN_HTTP"] == "true" and "STRONGROOM_ROOT_KEY_FILE" not in env
    assert "key slot add recovery" in notes and "plain HTTP" in notes
    probes = {container[probe]["httpGet"]["path"]: container[probe]["httpGet"]["scheme"] for probe in ("livenessProbe", "readinessProbe")}
    assert probes == {"/healthz": "HTTP", "/readyz": "HTTP"}
    # What selects must stay the same through upgrades: no version is in it.
    selector = {"app.kubernetes.io/name": "strongroom", "app.kubernetes.io/instance": "demo"}
    assert found["Service"]["spec"]["selector"] == found["StatefulSet"]["spec"]["selector"]["matchLabels"] == selector
    assert selector.items() <= found["StatefulSet"]["spec"]["template"]["metadata"]["labels"].items()
    # The data folder may be its owner's alone, and the root of a volume is its group's too.
    data = next(mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "data")
    assert env["STRONGROOM_DATA_DIR"].startswith(data + "/")
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"

    found, notes = objects(DATABASE)
    assert sorted(found) == ["Deployment", "PodDisruptionBudget", "Service"]
    pod, _, env = pod_of(found)
    assert found["Deployment"]["spec"]["replicas"] == 2
    assert found["Deployment"]["spec"]["selector"] == found["PodDisruptionBudget"]["spec"]["selector"] == {"matchLabels": selector}
    assert env["STRONGROOM_DATABASE"] == DATABASE["database"]["url"]
    assert {name for name in env if name.endswith(("_FILE", "_CA"))} == {
        "STRONGROOM_ROOT_KEY_FILE", "STRONGROOM_DATABASE_PASSWORD_FILE", "STRONGROOM_DATABASE_CA"}
    secrets = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert secrets == {"root", "db", "ca"} and "key slot add recovery" not in notes
    assert "PodDisruptionBudget" not in objects({**DATABASE, "replicas": 1})[0]
    assert "PodDisruptionBudget" not in objects({**DATABASE, "podDisruptionBudget": {"enabled": False}})[0]

    found, notes = objects({"tls": {"secret": "cert"}, "externalUrl": "https://secrets.example.com"})
    _, container, env = pod_of(found)
    assert env["STRONGROOM_TLS_CERT"] == "/run/secrets/tls/tls.crt" and "STRONGROOM_PLAIN_HTTP" not in env
    assert container["readinessProbe"]["httpGet"]["scheme"] == "HTTPS" and "plain HTTP" not in notes
    assert env["STRONGROOM_EXTERNAL_URL"] == "https://secrets.example.com"

    more = {"settings": {"STRONGROOM_KEEP_VERSIONS": 20, "STRONGROOM_LENIENT": True}, "secretMounts": ["transit"]}
    found, _ = objects({**DATABASE, **more, "metrics": {"enabled": True}, "persistence": {"storageClass": "fast"}})
    _, container, env = pod_of(found)
    assert (env["STRONGROOM_KEEP_VERSIONS"], env["STRONGROOM_LENIENT"]) == ("20", "true")
    assert "/run/secrets/transit" in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert env["STRONGROOM_METRICS_LISTEN"] == "0.0.0.0:9090"
    assert [port["targetPort"] for port in found["Service"]["spec"]["ports"]] == ["api", "metrics"]
    assert objects({"persistence": {"storageClass": "fast"}})[0]["StatefulSet"]["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"

    policy = lambda **more: objects({"networkPolicy": {"enabled": True, **more}})[0]["NetworkPolicy"]["spec"]
    assert policy()["ingress"] == []
    peer = {"namespaceSelector": {"matchLabels": {"team": "a"}}}
    assert policy(**{"from": [peer]})["ingress"] == [{"ports": [{"port": "api"}], "from": [peer]}]

    refused({"database": {"url": "postgres://db/strongroom"}}, "rootKey.secret")
    refused({"database": {"url": "postgres://strongroom:hunter2@db/strongroom"}}, "/database/url")
    for typo in ({"replica": 3}, {"settings": {"KEEP_VERSIONS": 1}}, {"replicas": 0}, {"externalUrl": "secrets.example.com"}):
        refused(typo, "")


def compose():
    path = ROOT / "deploy/compose/compose.yaml"
    # PyYAML merges what is shared, as Compose does; the library then refuses what the specification does not know.
    merged = yaml.safe_load(path.read_text())
    del merged["x-node"]
    PyCompose.from_yaml(yaml.safe_dump(merged))
    services = merged["services"]
    for name, service in services.items():
        tag = service["image"].partition(":")[2]
        assert re.match(r"\d+\.\d+", tag), f"{name}: the image is not pinned"
        assert set(service.get("secrets", [])) <= set(merged["secrets"]), name
        assert set(service["networks"]) <= set(merged["networks"]), name
    nodes = [services["node-1"], services["node-2"]]
    shared = [{key: value for key, value in node.items() if key != "depends_on"} for node in nodes]
    assert shared[0] == shared[1]
    assert all(known(name) for name in nodes[0]["environment"])
    assert nodes[0]["read_only"] and nodes[0]["cap_drop"] == ["ALL"] and "ports" not in nodes[0]
    assert all("healthcheck" in services[name] for name in ("postgres", "proxy"))
    assert "HEALTHCHECK" in (ROOT / "deploy/docker/Dockerfile").read_text()
    hosts = re.findall(r"server (node-\d+):7070", (ROOT / "deploy/compose/nginx.conf").read_text())
    assert hosts == ["node-1", "node-2"]


def secrets(binary):
    """The script makes what compose.yaml names, once, for those who read it alone."""
    wanted = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())["secrets"]
    with tempfile.TemporaryDirectory() as folder:
        script = shutil.copy(ROOT / "deploy/compose/secrets.sh", folder)
        run = lambda: subprocess.run([script], check=True, env={**os.environ, "STRONGROOM": binary}, stderr=subprocess.PIPE)
        if os.geteuid() != 0:
            print("secrets.sh is not run: it gives files away, which only root may")
            return
        run()
        made = {name: pathlib.Path(folder, secret["file"]) for name, secret in wanted.items()}
        assert sorted(os.listdir(pathlib.Path(folder, "secrets"))) == sorted(path.name for path in made.values())
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 and path.stat().st_uid != 0 for path in made.values())
        before = {name: path.read_bytes() for name, path in made.items()}
        assert before["database-password"] == before["postgres-password"] and len(before["database-password"]) > 30
        run()
        assert before == {name: path.read_bytes() for name, path in made.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    binary = parser.parse_args().bin
    chart()
    compose()
    secrets(binary)
