"""Replays the request shapes of the clients that are not installed here; docs/compatibility.md has the rules.

Talks to the server in STRONGROOM_URL, with the key in STRONGROOM_API_KEY. Standard library only. Each client's requests
are sent as that client words them; the answers must have what it needs.
"""

import hashlib
import http.client
import json
import os
import sys
import urllib.parse

import h2c
from checks import (
    Checks,
    check,
    check_api_key,
    check_error,
    check_list,
    check_secret,
    check_user,
    check_vault,
    equal,
)

UNKNOWN = "32ELIL9nzEhwlvjSpNSI6xXGNcE"
JSON_TYPE = {"Content-Type": "application/json"}
VALUE = "replayed-" + os.urandom(12).hex()


class Wire:
    """One origin and one key; remembers every answer, to search them all for the value in the end."""

    def __init__(self, url, key):
        self.origin = url.rstrip("/")
        self.host = urllib.parse.urlsplit(self.origin).netloc
        self.key = key
        self.answers = []
        self.names = 0

    def unique(self, prefix):
        self.names += 1
        return f"{prefix}-{os.getpid()}-{self.names}"

    def send(self, method, path, body=None, headers=None, auth=True):
        """Sends exactly these headers besides Host and Content-Length, which every client sends."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        connection.putrequest(method, path, skip_accept_encoding=True)
        fixed = {"Authorization": f"Bearer {self.key}", "Ngrok-Version": "2"} if auth else {}
        for name, value in {**fixed, **(headers or {})}.items():
            connection.putheader(name, value)
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        self.answers.append(text)
        return answer, text

    def json(self, status, method, path, body=None, headers=None):
        answer, text = self.send(method, path, body, headers)
        equal(answer.status, status, f"{method} {path} → {text[:300]!r}")
        check(answer.getheader("Ngrok-Operation-Id", "").startswith("op_"), "no operation id")
        if status == 204:
            equal(text, b"", "body of a 204")
            return None
        check(answer.getheader("Content-Type", "").startswith("application/json"), answer.getheader("Content-Type"))
        return json.loads(text)

    def path_of(self, uri):
        """The path of a link, which must lead to the origin that was dialled."""
        check(uri.startswith(self.origin + "/"), f"{uri} is not on {self.origin}")
        return uri[len(self.origin) :]

    def make_vault(self, **fields):
        body = {"name": self.unique("vault"), **fields}
        return self.json(201, "POST", "/vaults", body, JSON_TYPE)

    def make_secrets(self, vault, count):
        """Ids, newest first."""
        made = []
        for number in range(count):
            body = {"name": f"s{number}", "value": VALUE, "vault_id": vault["id"]}
            made.append(self.json(201, "POST", "/vault_secrets", body, JSON_TYPE)["id"])
        return made[::-1]


def dotnet(wire):
    """Nulls for what is unset, ids in bodies, a charset, lower-case verbs."""
    typed = {"Content-Type": "application/json; charset=utf-8"}
    name = wire.unique("dotnet")
    vault = wire.json(201, "post", "/vaults", {"name": name, "metadata": None, "description": None}, typed)
    check_vault(vault, wire.origin)
    equal((vault["metadata"], vault["description"]), ("", ""), "nulls on create")
    body = {"name": "s", "value": VALUE, "metadata": None, "description": None, "vault_id": vault["id"]}
    secret = wire.json(201, "post", "/vault_secrets", body, typed)
    check_secret(secret, wire.origin)

    path = f"/vault_secrets/{secret['id']}"
    unset = {"id": secret["id"], "name": None, "value": None, "metadata": None, "description": None}
    equal(wire.json(200, "patch", path, unset, typed), secret, "nothing but nulls")
    changed = wire.json(200, "patch", path, {**unset, "description": "d"}, typed)
    equal((changed["description"], changed["name"], changed["metadata"]), ("d", "s", ""), "one field")
    user = wire.json(201, "post", "/bot_users", {"name": wire.unique("dotnet"), "active": None}, typed)
    check_user(user, wire.origin, "bot_users")
    equal(user["active"], True, "null for active")
    unset = {"id": user["id"], "name": None, "active": None}
    equal(wire.json(200, "patch", f"/bot_users/{user['id']}", unset, typed), user, "nothing but nulls")
    wire.json(204, "delete", path)


def dotnet_pages(wire):
    """It ignores links: it asks with an empty `before_id` first, then with ids it knows, until a page is empty."""
    vault = wire.make_vault()
    expected = wire.make_secrets(vault, 7)
    seen, before = [], ""
    for _ in range(20):
        page = wire.json(200, "get", f"/vaults/{vault['id']}/secrets?before_id={before}&limit=3")
        check_list(page, "secrets", f"{wire.origin}/vaults/{vault['id']}/secrets")
        if not page["secrets"]:
            break
        seen += [secret["id"] for secret in page["secrets"]]
        before = seen[-1]
    equal(seen, expected, "until the empty page")
    equal(page["next_page_uri"], None, "link of the empty page")
    # Its index slip makes it ask with the last but one: that id must be exact as well.
    page = wire.json(200, "get", f"/vaults/{vault['id']}/secrets?before_id={expected[1]}&limit=3")
    equal([secret["id"] for secret in page["secrets"]], expected[2:5], "before the last but one")


def ruby(wire):
    """`""` for what is unset on create, nothing for it on change."""
    body = {"name": wire.unique("ruby"), "metadata": "", "description": ""}
    vault = wire.json(201, "POST", "/vaults", body, JSON_TYPE)
    check_vault(vault, wire.origin)
    body = {"name": "s", "value": VALUE, "metadata": "", "description": "d"}
    by_id = wire.json(201, "POST", "/vault_secrets", {**body, "vault_id": vault["id"], "vault_name": ""}, JSON_TYPE)
    body["name"] = "t"
    by_name = wire.json(201, "POST", "/vault_secrets", {**body, "vault_id": "", "vault_name": vault["name"]}, JSON_TYPE)
    equal(by_id["vault"], by_name["vault"], "by id and by name")
    equal(by_name["vault_name"], vault["name"], "vault_name")
    cleared = wire.json(200, "PATCH", f"/vault_secrets/{by_id['id']}", {"description": ""}, JSON_TYPE)
    equal(cleared["description"], "", "cleared")
    key = wire.json(201, "POST", "/api_keys", {"description": "", "metadata": ""}, JSON_TYPE)
    check_api_key(key, wire.origin)


def typescript(wire):
    """JSON content type on everything, ids in bodies, `limit=100` always, `beforeId` and `id` in queries."""
    vault = wire.make_vault(description=None)
    expected = wire.make_secrets(vault, 120)
    path = f"/vaults/{vault['id']}/secrets"
    seen, query = [], f"id={vault['id']}&limit=100"
    while True:
        page = wire.json(200, "GET", f"{path}?{query}", headers=JSON_TYPE)
        check_list(page, "secrets", wire.origin + path)
        seen += [secret["id"] for secret in page["secrets"]]
        if not page["next_page_uri"]:
            break
        check(len(seen) <= len(expected), "it would page for ever")
        query = f"id={vault['id']}&beforeId={seen[-1]}&limit=100"
    equal(seen, expected, "along beforeId")
    vaults = wire.json(200, "GET", f"/vaults?beforeId={vault['id']}&limit=100", headers=JSON_TYPE)
    check(all(found["id"] < vault["id"] for found in vaults["vaults"]), "beforeId on vaults")

    secret = f"/vault_secrets/{seen[0]}"
    changed = wire.json(200, "PATCH", secret, {"id": seen[0], "metadata": "m"}, JSON_TYPE)
    equal(changed["metadata"], "m", "an id in the body")
    equal(wire.json(200, "PATCH", secret, {"id": seen[0]}, JSON_TYPE), changed, "nothing but an id")
    wire.json(204, "DELETE", secret, headers=JSON_TYPE)
    check_error(wire.json(404, "GET", secret, headers=JSON_TYPE), 404, "")


def go(wire):
    """What is unset is left out; pages along the link; not-found is read from the body."""
    agent = {**JSON_TYPE, "User-Agent": "ngrok-api-go/unknown/go1.24.0", "Accept-Encoding": "gzip"}
    vault = wire.json(201, "POST", "/vaults", {"name": wire.unique("go")}, agent)
    expected = wire.make_secrets(vault, 5)
    path = f"/vaults/{vault['id']}/secrets?limit=2"
    seen = []
    while path:
        page = wire.json(200, "GET", path, headers={"User-Agent": agent["User-Agent"]})
        for secret in page["secrets"]:
            check_secret(secret, wire.origin)
        seen += [secret["id"] for secret in page["secrets"]]
        path = page["next_page_uri"] and wire.path_of(page["next_page_uri"])
    equal(seen, expected, "along the link")
    equal(wire.json(200, "PATCH", f"/vaults/{vault['id']}", {}, agent), vault, "an empty change")
    check_error(wire.json(404, "GET", f"/vaults/vault_{UNKNOWN}"), 404, "")
    check_error(wire.json(404, "DELETE", f"/vault_secrets/secret_{UNKNOWN}"), 404, "")


def java_upgrade(wire):
    """Armeria opens with an HTTP/2 preface in clear: the server must speak it, not take it for bad HTTP/1."""
    headers = {"authorization": f"Bearer {wire.key}", "ngrok-version": "2"}
    status, body = h2c.get(wire.host, "/vaults?limit=1", headers)
    equal(status, 200, "status")
    check_list(json.loads(body), "vaults", f"{wire.origin}/vaults")


def terraform(wire):
    """Fails an apply unless every string comes back as it was sent and nothing moves between writes."""
    agent = {**JSON_TYPE, "User-Agent": "terraform-provider-ngrok/0.8.0"}
    strings = ["", " ", " padded \n", "<b>&amp;\"'\\/", "é ü 漢 🔑", "\u2028", "a\tb\r\n", "0", "null", "${x} %q", "\u007f"]
    for number, text in enumerate(strings):
        body = {"name": wire.unique("tf"), "description": text, "metadata": text}
        vault = wire.json(201, "POST", "/vaults", {key: value for key, value in body.items() if value}, agent)
        read = wire.json(200, "GET", f"/vaults/{vault['id']}", headers=agent)
        equal((read["description"], read["metadata"]), (text, text), f"string {number}, verbatim")
        equal(read, vault, "nothing moves between writes")

    secret = {"name": "tf", "value": VALUE, "vault_id": vault["id"], "description": "d"}
    secret = wire.json(201, "POST", "/vault_secrets", secret, agent)
    cleared = wire.json(200, "PATCH", f"/vault_secrets/{secret['id']}", {"description": "", "metadata": ""}, agent)
    equal((cleared["description"], cleared["metadata"]), ("", ""), "cleared")
    user = wire.json(201, "POST", "/bot_users", {"name": wire.unique("tf"), "active": False}, agent)
    equal(user["active"], False, "made inactive")
    check_user(wire.json(200, "GET", f"/bot_users/{user['id']}", headers=agent), wire.origin, "bot_users")

    by_name = f'obj.name == "{vault["name"]}"'
    found = wire.json(200, "GET", "/vaults?filter=" + urllib.parse.quote_plus(by_name), headers=agent)
    equal([found_vault["id"] for found_vault in found["vaults"]], [vault["id"]], "exactly one")
    wire.json(204, "DELETE", f"/vault_secrets/{secret['id']}", headers=agent)
    wire.json(204, "DELETE", f"/vaults/{vault['id']}", headers=agent)
    check_error(wire.json(404, "DELETE", f"/vaults/{vault['id']}", headers=agent), 404, "")


def go_quoted_filters(wire):
    """`%q` and strconv.Quote write Go's escapes: each must be read, whether or not a name could hold it."""
    vault = wire.make_vault()
    quoted = {
        "plain": vault["name"],
        "hexadecimal": "".join(f"\\x{ord(letter):02x}" for letter in vault["name"]),
        "short Unicode": "".join(f"\\u{ord(letter):04x}" for letter in vault["name"]),
        "long Unicode": "".join(f"\\U{ord(letter):08x}" for letter in vault["name"]),
    }
    for escape, text in quoted.items():
        found = wire.json(200, "GET", "/vaults?filter=" + urllib.parse.quote(f'obj.name == "{text}"'))
        equal([item["id"] for item in found["vaults"]], [vault["id"]], escape)
    for text in ("\\a\\b\\f\\n\\r\\t\\v\\\\\\\"", "é漢🔑", "%25 %s +"):
        found = wire.json(200, "GET", "/vaults?filter=" + urllib.parse.quote(f'obj.name == "{text}"'))
        equal(found["vaults"], [], text)


def external_secrets(wire):
    """PushSecret of version 2.9: finds by filter, writes whether or not anything changed."""
    agent = {**JSON_TYPE, "User-Agent": "external-secrets"}
    vault = wire.make_vault()
    other = wire.make_vault()
    wire.make_secrets(other, 2)
    wire.json(200, "GET", "/vault_secrets", headers=agent)

    def find(collection, key, name):
        query = urllib.parse.urlencode({"filter": f"obj.name == {json.dumps(name)}"})
        return wire.json(200, "GET", f"/{collection}?{query}", headers=agent)[key]

    def push(value):
        (found,) = find("vaults", "vaults", vault["name"])
        equal(wire.json(200, "GET", f"/vaults/{found['id']}", headers=agent)["name"], vault["name"], "its name")
        digest = hashlib.sha256(value.encode()).hexdigest()
        fields = {"value": value, "metadata": json.dumps({"_sha256": digest}), "description": "Managed by External Secrets Operator"}
        mine = [item for item in find("vault_secrets", "secrets", "s0") if item["vault"]["id"] == found["id"]]
        if mine:
            return wire.json(200, "PATCH", f"/vault_secrets/{mine[0]['id']}", fields, agent)
        return wire.json(201, "POST", "/vault_secrets", {"vault_id": found["id"], "name": "s0", **fields}, agent)

    first = push(VALUE)
    check_secret(first, wire.origin)
    equal(push(VALUE), first, "pushed again, nothing changed")
    check(push(VALUE + "2")["metadata"] != first["metadata"], "a new value")
    equal(len(find("vault_secrets", "secrets", "no-such-name")), 0, "an absent secret")
    equal(find("vaults", "vaults", "no such vault"), [], "an absent vault, with a name that none can have")
    wire.json(204, "DELETE", f"/vault_secrets/{first['id']}", headers=agent)
    check_error(wire.json(404, "DELETE", f"/vault_secrets/{first['id']}", headers=agent), 404, "")


def external_secrets_before_filters(wire):
    """Versions 0.20 to 2.6 list all vaults, then page through the secrets of one."""
    vault = wire.make_vault()
    expected = wire.make_secrets(vault, 3)
    path, found = "/vaults", None
    while path and not found:
        page = wire.json(200, "GET", path)
        check_list(page, "vaults", f"{wire.origin}/vaults")
        found = next((item for item in page["vaults"] if item["name"] == vault["name"]), None)
        path = page["next_page_uri"] and wire.path_of(page["next_page_uri"])
    equal(found, vault, "in the list as when it was made")
    page = wire.json(200, "GET", f"/vaults/{vault['id']}/secrets")
    equal([secret["id"] for secret in page["secrets"]], expected, "its secrets")


def links_keep_the_filter(wire):
    """Go, Python, Rust and Java follow the link and nothing else."""
    vault = wire.make_vault()
    expected = wire.make_secrets(vault, 5)
    expression = f'obj.vault_name == "{vault["name"]}" && obj.name != "s & + % #"'
    path = "/vault_secrets?limit=2&filter=" + urllib.parse.quote(expression)
    seen = []
    while path:
        page = wire.json(200, "GET", path)
        check_list(page, "secrets", f"{wire.origin}/vault_secrets")
        seen += [secret["id"] for secret in page["secrets"]]
        path = page["next_page_uri"] and wire.path_of(page["next_page_uri"])
        check(not path or " " not in path, f"not encoded: {path}")
    equal(seen, expected, "filtered, along the link")


def command_line(wire):
    """`ngrok api root get` and `root self`, and the CLI's own field on new keys."""
    root = wire.json(200, "GET", "/")
    check(root["uri"].startswith(wire.origin), root["uri"])
    wanted = {"vaults", "vault_secrets", "api_keys", "bot_users", "service_users"}
    check(wanted <= root["subresource_uris"].keys(), f"{sorted(root['subresource_uris'])}")
    for uri in root["subresource_uris"].values():
        wire.json(200, "GET", wire.path_of(uri))
    me = wire.json(200, "GET", "/self")
    check({"account", "api_key", "user"} <= me.keys(), f"{sorted(me)}")
    check(me["account"]["id"].startswith("ac_"), me["account"]["id"])
    equal(me["api_key"]["token"], None, "token")
    equal(me["api_key"]["uri"], f"/api_keys/{me['api_key']['id']}", "the one relative uri")
    check(isinstance(me["user"], str) and me["user"], "user")
    body = {"description": "", "metadata": "", "owner_id": me["api_key"]["owner_id"], "owner_email": ""}
    key = wire.json(201, "POST", "/api_keys", body, JSON_TYPE)
    equal(key["owner_id"], me["api_key"]["owner_id"], "owner_id")


def users_under_two_names(wire):
    """The same resource at both paths, each with its own prefix and uri; either prefix is taken."""
    name = wire.unique("two names")
    bot = wire.json(201, "POST", "/bot_users", {"name": name}, JSON_TYPE)
    check_user(bot, wire.origin, "bot_users")
    ksuid = bot["id"].split("_")[1]
    for prefix in ("service_", "bot_"):
        service = wire.json(200, "GET", f"/service_users/{prefix}{ksuid}")
        check_user(service, wire.origin, "service_users")
        equal((service["id"], service["name"]), ("service_" + ksuid, name), "seen as a service user")
        equal(wire.json(200, "GET", f"/bot_users/{prefix}{ksuid}"), bot, "seen as a bot user")
    listed = wire.json(200, "GET", "/service_users?limit=100")
    check("service_" + ksuid in [user["id"] for user in listed["service_users"]], "listed")


def tolerated(wire):
    """Neither User-Agent nor Accept; a doubled slash; HEAD; any case of a header's name."""
    equal(wire.json(200, "GET", "//vaults?limit=1")["uri"], f"{wire.origin}/vaults", "//vaults")
    answer, text = wire.send("HEAD", "/vaults")
    equal((answer.status, text), (200, b""), "HEAD")
    wire.json(200, "GET", "/vaults?limit=&before_id=&filter=")
    lower = {"authorization": f"bearer {wire.key}", "ngrok-version": "2", "accept": "text/html"}
    answer, _ = wire.send("GET", "/vaults", headers=lower, auth=False)
    equal(answer.status, 200, "lower-case names and scheme")
    wire.json(200, "GET", "/vaults", headers={"Content-Type": "application/json; charset=utf-8"})
    wire.json(200, "GET", "/vaults", headers={"Content-Length": "0"})


def cross_origin(wire):
    """A browser's preflight carries neither key nor version."""
    asked = {"Origin": "https://console.example", "Access-Control-Request-Method": "PATCH"}
    asked["Access-Control-Request-Headers"] = "authorization,ngrok-version,content-type"
    answer, _ = wire.send("OPTIONS", "/vaults", headers=asked, auth=False)
    check(answer.status in (200, 204), f"status {answer.status}")
    equal(answer.getheader("Access-Control-Allow-Origin"), "https://console.example", "origin")
    equal(answer.getheader("Access-Control-Allow-Credentials"), "true", "credentials")
    methods = {method.strip() for method in answer.getheader("Access-Control-Allow-Methods").split(",")}
    check({"GET", "POST"} <= methods, f"methods {methods}")
    allowed = answer.getheader("Access-Control-Allow-Headers").lower()
    check(all(name in allowed for name in ("authorization", "ngrok-version", "content-type")), allowed)
    check(0 < int(answer.getheader("Access-Control-Max-Age")) <= 600, "max-age")
    answer, _ = wire.send("GET", "/vaults", headers={"Origin": "https://console.example"})
    equal(answer.getheader("Access-Control-Allow-Origin"), "https://console.example", "origin of an answer")
    equal(answer.getheader("Access-Control-Allow-Credentials"), "true", "credentials of an answer")


def no_value_anywhere(wire):
    check(len(wire.answers) > 100, f"only {len(wire.answers)} answers")
    check(any(UNKNOWN.encode() in answer or b"vault_" in answer for answer in wire.answers), "nothing to search")
    found = [answer for answer in wire.answers if VALUE.encode() in answer]
    check(not found, f"a value in {found[:1]}")


CASES = {
    ".NET": dotnet,
    ".NET, paging": dotnet_pages,
    "Ruby": ruby,
    "TypeScript": typescript,
    "Go": go,
    "Java, HTTP/2 in clear": java_upgrade,
    "Terraform": terraform,
    "Go-quoted filters": go_quoted_filters,
    "External Secrets 2.9": external_secrets,
    "External Secrets 2.6": external_secrets_before_filters,
    "links keep the filter": links_keep_the_filter,
    "command line": command_line,
    "users under two names": users_under_two_names,
    "what is tolerated": tolerated,
    "cross-origin": cross_origin,
    "no value anywhere": no_value_anywhere,
}


def main():
    wire = Wire(os.environ["STRONGROOM_URL"], os.environ["STRONGROOM_API_KEY"])
    checks = Checks("replay")
    for name, case in CASES.items():
        checks.run(name, case, wire)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
