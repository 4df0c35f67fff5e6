"""Cases that print a line each, and the shapes every answer has. Standard library only."""

import datetime
import re
import traceback

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KSUID_EPOCH = 1_400_000_000
TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

VAULT_KEYS = {
    "id",
    "uri",
    "created_at",
    "updated_at",
    "name",
    "description",
    "metadata",
    "created_by",
    "last_updated_by",
}
SECRET_KEYS = VAULT_KEYS | {"vault", "vault_name"}
API_KEY_KEYS = {"id", "uri", "description", "metadata", "created_at", "token", "owner_id"}
USER_KEYS = {"id", "uri", "name", "active", "created_at"}


class Checks:
    """Runs cases one after the other; a failed one does not stop the next."""

    def __init__(self, title):
        self.title = title
        self.passed = 0
        self.failed = 0

    def run(self, name, case, *arguments):
        try:
            case(*arguments)
        except Exception as error:
            self.failed += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            print(f"FAIL  {self.title}: {name}: {error!r} ({where.name}, line {where.lineno})", flush=True)
        else:
            self.passed += 1
            print(f"pass  {self.title}: {name}", flush=True)

    def finish(self):
        """Prints the sum as the last line and gives the exit status."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


def equal(found, expected, what=""):
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def ksuid_time(identifier):
    """The instant inside an id, as the timestamp of the same clock reading."""
    payload = identifier.rsplit("_", 1)[1]
    equal(len(payload), 27, "length of " + identifier)
    number = 0
    for letter in payload:
        number = number * 62 + BASE62.index(letter)
    seconds = (number >> 128) + KSUID_EPOCH
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_common(item, keys, prefix, uri):
    """All keys always there; strings never null; id, uri and time belong together."""
    check(keys <= item.keys(), f"missing {keys - item.keys()} in {item}")
    check("value" not in item, f"a value in {item}")
    check(item["id"].startswith(prefix), f"prefix of {item['id']}")
    equal(item["uri"], uri, "uri")
    equal(item["created_at"], ksuid_time(item["id"]), "created_at and the time inside the id")
    for key in keys & {"updated_at", "created_at"}:
        check(TIMESTAMP.match(item[key]), f"{key}: {item[key]!r}")
    for key in keys & {"name", "description", "metadata", "vault_name", "owner_id"}:
        check(isinstance(item[key], str), f"{key}: {item[key]!r}")


def check_vault(vault, origin):
    check_common(vault, VAULT_KEYS, "vault_", f"{origin}/vaults/{vault['id']}")
    for key in ("created_by", "last_updated_by"):
        check(re.match(r"^(usr|bot)_\w{27}$", vault[key]), f"{key}: {vault[key]!r}")


def check_secret(secret, origin):
    check_common(secret, SECRET_KEYS, "secret_", f"{origin}/vault_secrets/{secret['id']}")
    for key in ("created_by", "last_updated_by"):
        equal(set(secret[key]), {"id", "uri"}, key)
        check(isinstance(secret[key]["uri"], str), f"{key}.uri: {secret[key]['uri']!r}")
    equal(secret["vault"]["uri"], f"{origin}/vaults/{secret['vault']['id']}", "vault.uri")


def check_api_key(key, origin):
    check_common(key, API_KEY_KEYS, "ak_", f"{origin}/api_keys/{key['id']}")


def check_user(user, origin, collection):
    prefix = {"bot_users": "bot_", "service_users": "service_"}[collection]
    check_common(user, USER_KEYS, prefix, f"{origin}/{collection}/{user['id']}")
    check(isinstance(user["active"], bool), f"active: {user['active']!r}")


def check_list(page, key, uri):
    """A list's own keys; a link is absolute, and never stands on an empty page."""
    check({key, "uri", "next_page_uri"} <= page.keys(), f"keys of a list: {sorted(page)}")
    check(isinstance(page[key], list), f"{key}: {page[key]!r}")
    equal(page["uri"], uri, "uri of the list")
    if page["next_page_uri"] is not None:
        check(page["next_page_uri"].startswith(uri + "?"), f"link {page['next_page_uri']}")
        check(page[key], "a link on an empty page")
    ids = [item["id"] for item in page[key]]
    equal(ids, sorted(ids, reverse=True), "newest first")


def check_error(body, status, code=None):
    """What every client needs of an error."""
    equal(type(body["status_code"]), int, "type of status_code")
    equal(body["status_code"], status, "status_code")
    check(isinstance(body["msg"], str) and body["msg"], f"msg: {body['msg']!r}")
    check(isinstance(body["details"], dict), f"details: {body['details']!r}")
    check(all(isinstance(value, str) for value in body["details"].values()), f"details: {body['details']!r}")
    if code is not None:
        equal(body.get("error_code") or "", code, "error_code")
