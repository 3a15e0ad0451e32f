"""Renders the chart with helm and checks what comes out.

    check.py HELM CHART

Every file of CHART/tests/values must render; the objects must fit the schemas of Kubernetes, refer only to what exists and
hold what `EXPECTED` says of them. Every file of CHART/tests/refused must be refused with the words of its first line.
"""

import json
import re
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about the library's own imports
    import kubernetes_validate
import yaml

KUBERNETES = ("1.30.0", "1.37.0")
SECRETS = {
    "AUTH_KEY", "ENCRYPTION_KEY", "ENCRYPTION_KEY_PREVIOUS", "DATABASE_DSN", "DATABASE_READ_DSN", "REDIS_DSN", "PROXY_KEYS",
    "METRICS_TOKEN",
}
# Kinds of operators, whose schemas are not those of Kubernetes.
FOREIGN = {"ServiceMonitor", "PrometheusRule", "ExternalSecret"}
# What helm itself puts among the values, and members of probes that are only there when somebody wants them.
OPTIONAL = {"global", "successThreshold", "initialDelaySeconds"}
REPOSITORY = Path(__file__).resolve().parents[2]


class Objects:
    """The objects of one rendering, by kind and name."""

    def __init__(self, text):
        self.all = [item for item in yaml.safe_load_all(text) if item]
        self.by_name = {(item["kind"], item["metadata"]["name"]): item for item in self.all}
        assert len(self.by_name) == len(self.all), "two objects of the same kind and name"

    def names(self):
        return sorted(f"{kind}/{name}" for kind, name in self.by_name)

    def __getitem__(self, name):
        return self.by_name[tuple(name.split("/"))]

    def pods(self):
        for item in self.all:
            if item["kind"] == "StatefulSet":
                yield item["metadata"]["name"], item["spec"]["template"]["spec"]
            elif item["kind"] == "Pod":
                yield item["metadata"]["name"], item["spec"]


def environment(pod):
    """What a container's variables come from, by name."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in pod["containers"][0]["env"]}


def secret(name, key):
    return {"secretKeyRef": {"name": name, "key": key}}


def check_every(objects):
    """What holds for whatever values."""
    for name, pod in objects.pods():
        container = pod["containers"][0]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }, name
        assert not any("key" in argument.lower() for argument in container.get("args", [])), name
    config = next(item for item in objects.all if item["kind"] == "ConfigMap" and "HOST" in item["data"])
    assert not SECRETS & config["data"].keys()
    for item in objects.all:
        assert item["kind"] != "Secret", "secrets are referred to, never made"
        if item["kind"] == "StatefulSet":
            check_node(objects, item, config)


def check_node(objects, item, config):
    spec = item["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    role = item["metadata"]["labels"]["app.kubernetes.io/component"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert ("Service", spec["serviceName"]) in objects.by_name
    for service in (service for service in objects.all if service["kind"] == "Service"):
        assert service["spec"]["selector"].items() <= labels.items(), "every node is behind both services"
    found = environment(pod)
    assert found["NODE_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert found["POD_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert found["NODE_ADDRESS"] == "$(POD_IP):3001"
    assert found["IS_SLAVE"] == ("true" if role == "follower" else "false")
    for name in SECRETS & found.keys():
        assert "secretKeyRef" in found[name], f"{name} stands in the object"
    assert container["envFrom"] == [{"configMapRef": {"name": config["metadata"]["name"]}}]
    prefix = config["data"]["BASE_PATH"].rstrip("/")
    probes = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    # A database that is away must not take nodes that still proxy out of the service.
    assert probes == {
        "startup": f"{prefix}/health/ready", "liveness": f"{prefix}/health/live", "readiness": f"{prefix}/health/live",
    }
    sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    grace = int(config["data"]["SERVER_GRACEFUL_SHUTDOWN_TIMEOUT"])
    assert pod["terminationGracePeriodSeconds"] >= grace + sleep + 5, "killed before it has written everything down"
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert (mounts["data"], mounts["tmp"]) == (config["data"]["DATA_DIR"], "/tmp")
    volumes = {volume["name"] for volume in pod["volumes"]} | {
        claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]
    }
    assert mounts.keys() == volumes
    for constraint in pod["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"].items() <= labels.items()


def one_node(objects):
    assert objects.names() == [
        "ConfigMap/r-gpt-load", "Pod/r-gpt-load-test", "Service/r-gpt-load", "Service/r-gpt-load-nodes",
        "ServiceAccount/r-gpt-load", "StatefulSet/r-gpt-load-leader",
    ]
    node = objects["StatefulSet/r-gpt-load-leader"]
    assert node["spec"]["replicas"] == 1
    assert not SECRETS & environment(node["spec"]["template"]["spec"]).keys()


def three_nodes(objects):
    assert objects.names() == [
        "ConfigMap/r-gpt-load", "Pod/r-gpt-load-test", "PodDisruptionBudget/r-gpt-load-leader", "Service/r-gpt-load",
        "Service/r-gpt-load-nodes", "ServiceAccount/r-gpt-load", "StatefulSet/r-gpt-load-leader",
    ]
    node = objects["StatefulSet/r-gpt-load-leader"]
    assert node["spec"]["replicas"] == 3
    found = environment(node["spec"]["template"]["spec"])
    for name in ("AUTH_KEY", "ENCRYPTION_KEY", "DATABASE_DSN", "REDIS_DSN"):
        assert found[name] == secret("gpt-load-secrets", name)
    assert objects["ConfigMap/r-gpt-load"]["data"]["CLUSTER_NAME"] == "default-r-gpt-load"
    assert objects["PodDisruptionBudget/r-gpt-load-leader"]["spec"]["maxUnavailable"] == 1


def pair_and_followers(objects):
    leader, follower = (objects[f"StatefulSet/r-gpt-load-{role}"] for role in ("leader", "follower"))
    assert leader["spec"]["replicas"] == 2
    assert "replicas" not in follower["spec"], "an upgrade would undo what the autoscaler did"
    scaler = objects["HorizontalPodAutoscaler/r-gpt-load-follower"]["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "r-gpt-load-follower"}
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 20)
    for role in ("leader", "follower"):
        budget = objects[f"PodDisruptionBudget/r-gpt-load-{role}"]["spec"]["selector"]["matchLabels"]
        assert budget["app.kubernetes.io/component"] == role
    data = objects["ConfigMap/r-gpt-load"]["data"]
    assert (data["MAX_CONCURRENT_REQUESTS"], data["LOG_FORMAT"]) == ("2000", "json")
    assert follower["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 320
    found = environment(follower["spec"]["template"]["spec"])
    assert found["REDIS_DSN"] == secret("gpt-load-redis", "dsn")
    assert found["METRICS_TOKEN"] == secret("gpt-load", "metrics-token")
    policy = objects["NetworkPolicy/r-gpt-load"]["spec"]
    assert len(policy["ingress"][0]["from"]) == 2, "the nodes themselves, and who was named"
    assert policy["egress"][2]["to"][0]["ipBlock"]["except"] == ["169.254.0.0/16"]
    monitor = objects["ServiceMonitor/r-gpt-load"]
    endpoint = monitor["spec"]["endpoints"][0]
    assert endpoint["authorization"]["credentials"] == {"name": "gpt-load", "key": "metrics-token"}
    nodes = objects["Service/r-gpt-load-nodes"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= nodes.items()
    other = objects["Service/r-gpt-load"]["metadata"]["labels"]
    assert not monitor["spec"]["selector"]["matchLabels"].items() <= other.items(), "every node would be asked twice"
    rules = yaml.safe_load((REPOSITORY / "helm/gpt-load/rules/gpt-load.yaml").read_text())
    assert objects["PrometheusRule/r-gpt-load"]["spec"] == rules
    board = objects["ConfigMap/r-gpt-load-dashboard"]
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    source = json.loads((REPOSITORY / "helm/gpt-load/dashboards/gpt-load.json").read_text())
    assert json.loads(board["data"]["gpt-load.json"]) == source


def external_secrets(objects):
    made = objects["ExternalSecret/gpt-load-external"]["spec"]
    assert made["secretStoreRef"] == {"name": "vault", "kind": "ClusterSecretStore"}
    assert made["target"]["name"] == "gpt-load-external"
    fetched = {entry["secretKey"]: entry["remoteRef"] for entry in made["data"]}
    assert fetched["REDIS_DSN"] == {"key": "teams/ai/gpt-load", "property": "REDIS_DSN"}
    for role in ("leader", "follower"):
        node = objects[f"StatefulSet/r-gpt-load-{role}"]
        assert node["spec"]["replicas"] == 1
        found = environment(node["spec"]["template"]["spec"])
        for name in fetched:
            assert found[name] == secret("gpt-load-external", name)
    assert not any(name.startswith("PodDisruptionBudget/") for name in objects.names())


def edge(objects):
    data = objects["ConfigMap/r-gpt-load"]["data"]
    assert data["TLS_CERT_FILE"] == "/app/tls/tls.crt"
    assert data["EXTRA_CA_FILE"] == "/app/ca/roots.pem"
    node = objects["StatefulSet/r-gpt-load-leader"]["spec"]
    container = node["template"]["spec"]["containers"][0]
    assert container["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    assert "lifecycle" not in container
    assert node["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"
    endpoint = objects["ServiceMonitor/r-gpt-load"]["spec"]["endpoints"][0]
    assert (endpoint["path"], endpoint["scheme"]) == ("/ai/metrics", "https")
    assert "authorization" not in endpoint
    rule = objects["Ingress/r-gpt-load"]["spec"]["rules"][0]
    assert (rule["host"], rule["http"]["paths"][0]["path"]) == ("ai.example.com", "/ai/")
    assert "Pod/r-gpt-load-test" not in objects.names()
    assert "ServiceAccount/r-gpt-load" not in objects.names()
    assert node["template"]["spec"]["serviceAccountName"] == "default"


EXPECTED = {
    "one-node-sqlite": one_node,
    "three-nodes-postgres": three_nodes,
    "pair-and-followers": pair_and_followers,
    "external-secrets": external_secrets,
    "edge": edge,
}


class Chart:
    def __init__(self, helm, path):
        self.helm, self.path = helm, path

    def run(self, *arguments):
        command = [self.helm, *arguments, "--kube-version", KUBERNETES[0]]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def lint(self, values):
        done = self.run("lint", "--strict", "--quiet", str(self.path), "--values", str(values))
        assert done.returncode == 0, done.stdout + done.stderr

    def accepted(self, values):
        self.lint(values)
        done = self.run("template", "r", str(self.path), "--values", str(values))
        assert done.returncode == 0, done.stderr
        objects = Objects(done.stdout)
        for item in objects.all:
            if item["kind"] not in FOREIGN:
                for version in KUBERNETES:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        kubernetes_validate.validate(item, version, strict=True)
        check_every(objects)
        EXPECTED[values.stem](objects)
        return f"{len(objects.all)} objects"

    def refused(self, values):
        sentence = values.read_text().splitlines()[0].removeprefix("# refused: ")
        done = self.run("template", "r", str(self.path), "--values", str(values))
        assert done.returncode != 0, "was rendered"
        said = " ".join(done.stderr.split())
        assert sentence in said, f"said: {said}"
        return "refused"


def check_versions(path):
    """The chart's idea of the program is the program's."""
    cargo = re.search(r'^\[workspace\.package\]\nversion = "(.+)"', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)
    chart = yaml.safe_load((path / "Chart.yaml").read_text())
    assert chart["appVersion"] == cargo[1], "appVersion is not the version in Cargo.toml"
    return chart["appVersion"]


def check_settings(path):
    """Every variable that the chart names is one of the node's."""
    known = set(re.findall(r"^\| `([A-Z_]+)` \|", (REPOSITORY / "docs/CONFIGURATION.md").read_text(), re.MULTILINE))
    known |= {"PROXY_KEYS"}  # the initial value of a setting
    template = (path / "templates/_validate.tpl").read_text() + (path / "templates/configmap.yaml").read_text()
    named = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', template)) | set(re.findall(r"^  ([A-Z_]+): ", template, re.MULTILINE))
    unknown = (named | SECRETS) - known
    assert not unknown, f"no such variables: {sorted(unknown)}"
    return f"{len(named | SECRETS)} variables"


def check_values(path):
    """Every value that the schema allows stands in values.yaml, where its comment is."""
    schema = json.loads((path / "values.schema.json").read_text())
    values = yaml.safe_load((path / "values.yaml").read_text())

    def missing(schema, values, place):
        for name, below in schema.get("properties", {}).items():
            if name not in values and name not in OPTIONAL:
                yield f"{place}{name}"
            elif isinstance(values.get(name), dict):
                yield from missing(below, values[name], f"{place}{name}.")

    absent = list(missing(schema, values, ""))
    assert not absent, f"not in values.yaml: {absent}"
    return f"{len(schema['properties'])} groups"


def check_alerts(path):
    """OPERATIONS.md says of every alert what to do."""
    rules = yaml.safe_load((path / "rules/gpt-load.yaml").read_text())["groups"][0]["rules"]
    alerts = [rule["alert"] for rule in rules]
    told = (REPOSITORY / "docs/OPERATIONS.md").read_text()
    untold = [alert for alert in alerts if alert not in told]
    assert not untold, f"docs/OPERATIONS.md does not say what to do: {untold}"
    return f"{len(alerts)} alerts"


def check_metrics(path):
    """Dashboard and alerts ask for metrics, and labels of them, that the node has."""
    source = REPOSITORY / "src/telemetry/metrics/declared.rs"
    if not source.exists():
        return "left out, this version has no metrics"
    declared = re.findall(r'(Counter|Gauge|Histogram) "(\w+)" \[([^\]]*)\]', source.read_text())
    assert declared, "src/telemetry/metrics/declared.rs is not understood"
    known = {name: (kind, set(re.findall(r'"(\w+)"', labels))) for kind, name, labels in declared}
    board = json.loads((path / "dashboards/gpt-load.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    asked += [variable["query"]["query"] for variable in board["templating"]["list"] if variable["type"] == "query"]
    rules = yaml.safe_load((path / "rules/gpt-load.yaml").read_text())["groups"]
    asked += [rule["expr"] for group in rules for rule in group["rules"]]
    wrong, count = [], 0
    for expression in asked:
        for series, labels in re.findall(r"\b((?:gpt_load|process)_\w+)(\{[^}]*\})?", expression):
            count += 1
            name = re.sub(r"_(bucket|sum|count)$", "", series) if series not in known else series
            kind, own = known.get(name, ("", set()))
            if not kind or (kind == "Histogram") == (series == name):
                wrong.append(f"{series} is none")
            used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels))
            unknown = used - own - {"job", "instance"}
            if unknown:
                wrong.append(f"{series} has no {sorted(unknown)}")
    assert not wrong, wrong
    return f"{count} series"


def main():
    helm, path = sys.argv[1], Path(sys.argv[2])
    chart = Chart(helm, path)
    accepted, refused = (sorted((path / "tests" / kind).glob("*.yaml")) for kind in ("values", "refused"))
    assert {values.stem for values in accepted} == EXPECTED.keys(), "a file without expectations, or the other way round"
    checks = [("versions", check_versions, path), ("settings", check_settings, path)]
    checks += [("documented values", check_values, path), ("alerts", check_alerts, path), ("metrics", check_metrics, path)]
    checks += [(f"values/{values.stem}", chart.accepted, values) for values in accepted]
    checks += [(f"refused/{values.stem}", chart.refused, values) for values in refused]
    failed = 0
    with ThreadPoolExecutor(4) as pool:
        for name, result in [(name, pool.submit(check, what)) for name, check, what in checks]:
            try:
                print(f"helm: {name}: {result.result()}")
            except Exception as error:  # noqa: BLE001: whatever went wrong, the others are told as well
                failed += 1
                print(f"helm: {name} FAILED: {type(error).__name__}: {error}", file=sys.stderr)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
