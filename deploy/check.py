"""Checks the Helm chart, the compose file and what its proxy does, and what systemd takes without a word: `cargo xtask test --only deploy`.

The chart is linted and rendered by Helm's own engine, with each value that matters; what comes out has to be valid for the oldest and the
newest Kubernetes that are known here, to keep to its restricted profile, and to be what the case expects. No container is started.
"""

import argparse
import configparser
import contextlib
import http.server
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import helm_python as helm
import kubernetes_validate
import yaml
from compose_spec import PyCompose

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy/helm/strongroom"
KUBERNETES = ["1.27", kubernetes_validate.latest_version()]

DATABASE = {
    "rootKey": {"secret": "root"},
    "database": {"url": "postgres://strongroom@db:5432/strongroom?sslmode=verify-full", "passwordSecret": "db", "caSecret": "ca"},
}


def objects(values):
    """What Kubernetes is given, by kind; the Service of metrics has a kind of its own here."""
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
            kind = thing["kind"] + ("/metrics" if thing["metadata"]["name"].endswith("-metrics") else "")
            assert kind not in found, kind
            found[kind] = thing
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
    # Each file that a setting names is mounted; a root key that a key service has is none.
    env = environment(container)
    without = {"STRONGROOM_ROOT_KEY_FILE"} if "root-key" not in mounts else set()
    for name, value in env.items():
        assert known(name), name
        if value.startswith("/run/secrets/") and name not in without:
            folder, file = value.rsplit("/", 1)
            mount = next(mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == folder)
            secret = next(volume["secret"] for volume in pod["volumes"] if volume["name"] == mount)
            assert "items" not in secret or [item["path"] for item in secret["items"]] == [file]
            assert secret["defaultMode"] == 0o400
    # It goes on listening for a while, and is given the time for that and for what it has to end.
    assert pod["terminationGracePeriodSeconds"] >= 90 + seconds(env["STRONGROOM_DRAIN_DELAY"])
    # Tables are brought up to date before anybody asks whether it lives.
    start = container["startupProbe"]
    assert start["httpGet"] == container["livenessProbe"]["httpGet"] and start["periodSeconds"] * start["failureThreshold"] >= 900
    return pod, container, env


def environment(container):
    return {variable["name"]: variable["value"] for variable in container["env"]}


def seconds(time):
    assert re.fullmatch(r"\d+s", time), time
    return int(time[:-1])


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
    assert found["Deployment"]["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    at_once, quiet = objects({**DATABASE, "strategy": "Recreate"})
    assert at_once["Deployment"]["spec"]["strategy"] == {"type": "Recreate"} and "strategy=Recreate" in notes and "Recreate" not in quiet
    assert found["PodDisruptionBudget"]["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
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

    # A key service has the key in place of a Secret. A first start then finds no place to make one that would be gone with its pod.
    for service in ("STRONGROOM_TRANSIT_ADDRESS", "STRONGROOM_AWS_KMS_KEY", "STRONGROOM_PKCS11_MODULE"):
        found, notes = objects({**DATABASE, "rootKey": {}, "settings": {service: "there"}, "serviceAccountName": "kms"})
        pod, container, env = pod_of(found)
        folders = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert container["securityContext"]["readOnlyRootFilesystem"] and not env["STRONGROOM_ROOT_KEY_FILE"].startswith(tuple(folders))
        assert pod["serviceAccountName"] == "kms" and "root-key" not in yaml.safe_dump(pod["volumes"]) and "ROOT KEY" not in notes

    more = {"extraArgs": ["--allow-rolled-back-log"], "settings": {"STRONGROOM_KEEP_VERSIONS": 20, "STRONGROOM_LENIENT": True}, "secretMounts": ["transit"]}
    found, _ = objects({**DATABASE, **more, "metrics": {"enabled": True}, "persistence": {"storageClass": "fast"}})
    _, container, env = pod_of(found)
    assert (env["STRONGROOM_KEEP_VERSIONS"], env["STRONGROOM_LENIENT"]) == ("20", "true")
    assert "/run/secrets/transit" in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert env["STRONGROOM_METRICS_LISTEN"] == "0.0.0.0:9090"
    assert container["args"] == ["serve", "--allow-rolled-back-log"]
    # Who reaches the API from outside does not reach the numbers, which ask for no key.
    outside = objects({"metrics": {"enabled": True}, "service": {"type": "LoadBalancer"}})[0]
    assert (outside["Service"]["spec"]["type"], outside["Service/metrics"]["spec"]["type"]) == ("LoadBalancer", "ClusterIP")
    assert [port["targetPort"] for port in outside["Service"]["spec"]["ports"]] == ["api"]
    assert [port["targetPort"] for port in outside["Service/metrics"]["spec"]["ports"]] == ["metrics"]
    assert outside["Service/metrics"]["spec"]["clusterIP"] == "None"
    assert objects({"persistence": {"storageClass": "fast"}})[0]["StatefulSet"]["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"

    policy = lambda **more: objects({"networkPolicy": {"enabled": True, **more}})[0]["NetworkPolicy"]["spec"]
    assert policy()["ingress"] == []
    peer = {"namespaceSelector": {"matchLabels": {"team": "a"}}}
    assert policy(**{"from": [peer]})["ingress"] == [{"ports": [{"port": "api"}], "from": [peer]}]

    refused({"database": {"url": "postgres://db/strongroom"}}, "rootKey.secret")
    refused({"database": {"url": "postgres://strongroom:hunter2@db/strongroom"}}, "/database/url")
    refused({"tls": {"secret": "cert"}, "settings": {"STRONGROOM_TLS_CLIENT_AUTH": "required"}}, "probes")
    refused({"tls": {"secret": "cert"}, "extraArgs": ["--tls-client-auth", "required"]}, "probes")
    objects({"tls": {"secret": "cert"}, "settings": {"STRONGROOM_TLS_CLIENT_AUTH": "optional"}})
    for typo in ({"replica": 3}, {"strategy": "OnDelete"}, {"drainDelay": "5"}, {"settings": {"KEEP_VERSIONS": 1}}, {"replicas": 0}, {"externalUrl": "secrets.example.com"}):
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
    own = ("build", "depends_on", "pull_policy")
    shared = [{key: value for key, value in node.items() if key not in own} for node in nodes]
    assert shared[0] == shared[1]
    # One build of the one image, which nobody looks for elsewhere.
    assert [name for name, service in services.items() if "build" in service] == ["node-1"]
    assert nodes[1]["pull_policy"] == "never" and "node-1" in nodes[1]["depends_on"]
    # The database is reached by the nodes alone, and the nodes reach what is outside.
    internal = {name for name, network in merged["networks"].items() if network and network.get("internal")}
    assert set(services["postgres"]["networks"]) == internal and not set(nodes[0]["networks"]) <= internal
    assert set(nodes[0]["networks"]) & set(services["proxy"]["networks"]) == internal
    assert seconds(nodes[0]["stop_grace_period"]) >= 90
    assert all(known(name) for name in nodes[0]["environment"])
    assert nodes[0]["read_only"] and nodes[0]["cap_drop"] == ["ALL"] and "ports" not in nodes[0]
    assert all("healthcheck" in services[name] for name in ("postgres", "proxy"))
    assert "HEALTHCHECK" in (ROOT / "deploy/docker/Dockerfile").read_text()
    hosts = re.findall(r"server (node-\d+):7070", (ROOT / "deploy/compose/nginx.conf").read_text())
    assert hosts == ["node-1", "node-2"]


def unit():
    """It is started again for as long as it takes, and given the time to stop; each page has the sealed root key in the same place."""
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.read(ROOT / "deploy/systemd/strongroom.service")
    service = read["Service"]
    assert read["Unit"]["StartLimitIntervalSec"] == "0" and service["Restart"] == "on-failure" and seconds(service["RestartSec"]) >= 2
    readme = ROOT / "deploy/README.md"
    delay = re.search(r"^STRONGROOM_DRAIN_DELAY=(.*)$", readme.read_text(), re.MULTILINE)[1]
    assert int(service["TimeoutStopSec"]) >= 90 + seconds(delay)
    for page in (ROOT / "deploy/systemd/root-key.conf", ROOT / "docs/key-slots.md", readme):
        assert set(re.findall(r"root\.key:(\S+?)`?(?= |$)", page.read_text(), re.MULTILINE)) == {"/etc/credstore.encrypted/root.key"}, page
    for name in re.findall(r"STRONGROOM_[A-Z0-9_]+", readme.read_text()):
        assert known(name), name


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


@contextlib.contextmanager
def nginx(nodes, folder):
    """The proxy of compose.yaml before other nodes, as far as an older nginx knows the words; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = (ROOT / "deploy/compose/nginx.conf").read_text().replace("/tmp/", f"{folder}/").replace("listen 8080", f"listen 127.0.0.1:{port}")
    # From 1.27.3 on it looks a name up again by itself.
    text = re.sub(r"\n *resolver [^\n]*", "", text).replace(" resolve ", " ")
    for index, node in enumerate(nodes):
        text = text.replace(f"node-{index + 1}:7070", f"127.0.0.1:{node.server_port}")
    path = pathlib.Path(folder, "nginx.conf")
    path.write_text(text)
    words = ["nginx", "-p", folder, "-e", f"{folder}/error.log", "-c", str(path)]
    tested = subprocess.run([*words, "-t"], stderr=subprocess.PIPE, text=True)
    assert tested.returncode == 0, tested.stderr
    server = subprocess.Popen([*words, "-g", "daemon off; error_log error.log;"])
    try:
        until = time.monotonic() + 30
        while not reached(port):
            assert time.monotonic() < until and server.poll() is None, "nginx does not listen"
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait()


def reached(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


class Node(http.server.BaseHTTPRequestHandler):
    """Answers everything with the status that its server has by then."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self.command)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PATCH = answer

    def log_message(self, *_):
        pass


class Nodes(http.server.ThreadingHTTPServer):
    def __init__(self, status):
        super().__init__(("127.0.0.1", 0), Node)
        self.status, self.asked = status, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """A proxy that ends leaves connections behind."""


def proxy():
    """Of two nodes one is sealed: reads are answered by the other, and no change is sent to both. With none left, the answer is a 503."""
    sealed, open_ = Nodes(503), Nodes(200)

    def ask(port, method):
        body = None if method == "GET" else b"{}"
        request = urllib.request.Request(f"http://127.0.0.1:{port}/vaults", method=method, data=body)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with nginx([sealed, open_], folder) as port:
            assert {ask(port, "GET") for _ in range(20)} == {200}
            assert "GET" in sealed.asked
        for method in ("POST", "PATCH"):
            sealed.asked, open_.asked = [], []
            with nginx([sealed, open_], folder) as port:
                statuses = [ask(port, method) for _ in range(8)]
            assert len(sealed.asked) + len(open_.asked) == 8 and statuses.count(503) == len(sealed.asked) > 0, statuses
        open_.status = 503
        with nginx([sealed, open_], folder) as port:
            assert {ask(port, method) for method in ("GET", "GET", "POST", "GET")} == {503}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    binary = parser.parse_args().bin
    chart()
    compose()
    proxy()
    unit()
    secrets(binary)
