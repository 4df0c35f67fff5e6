"""Drives the installed `ngrok-api` against the server in STRONGROOM_URL, with the key in STRONGROOM_API_KEY.

Runs unchanged with 0.17.0 and 0.19.0: what the older one cannot do is left out, and said.
"""

import inspect
import os
import pathlib
import sys
from importlib.metadata import version

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from checks import Checks, check, equal  # noqa: E402

import ngrok  # noqa: E402
import ngrok.http_client  # noqa: E402

URL = os.environ["STRONGROOM_URL"]
KEY = os.environ["STRONGROOM_API_KEY"]
VERSION = version("ngrok-api")
CANARY = "canary-" + os.urandom(12).hex()
UNKNOWN = "32ELIL9nzEhwlvjSpNSI6xXGNcE"
MANY = 250

client = ngrok.Client(KEY, URL)
knows_filters = "filter" in inspect.signature(client.vaults.list).parameters
answers = []


def record_answers():
    """Keeps the text of every answer the client gets, to search it for values in the end."""
    original = ngrok.http_client.requests.request

    def recorded(*arguments, **options):
        answer = original(*arguments, **options)
        answers.append(answer.text)
        return answer

    ngrok.http_client.requests.request = recorded


def unique(prefix):
    """Runs of several versions share a server, so every name is new."""
    unique.count += 1
    return f"{prefix}-{VERSION}-{unique.count}"


unique.count = 0


def new_secret(vault, name=None, **fields):
    return client.secrets.create(name=name or unique("secret"), value=CANARY, vault_id=vault.id, **fields)


def refused(status, code, call, *arguments, **options):
    """Expects the client's error for the call."""
    try:
        call(*arguments, **options)
    except ngrok.Error as error:
        equal(error.http_status_code, status, "status")
        equal(error.error_code or "", code, "code")
        check(error.details is not None, "no details")
        if status == 404:
            check(isinstance(error, ngrok.NotFoundError), f"not a NotFoundError: {error!r}")
        return error
    raise AssertionError("it was not refused")


def attributes(item):
    """Every attribute the client offers; reading one raises where the answer lacks its key."""
    names = [name for name, kind in inspect.getmembers(type(item), lambda kind: isinstance(kind, property))]
    return {name: getattr(item, name) for name in names}


def vaults_live():
    name = unique("vault")
    made = client.vaults.create(name=name, metadata="env=prod", description="Production Vault")
    seen = attributes(client.vaults.get(made.id))
    equal(seen, attributes(made), "get after create")
    equal((seen["name"], seen["metadata"], seen["description"]), (name, "env=prod", "Production Vault"), "fields")
    check(all(isinstance(value, str) for value in seen.values()), f"not all strings: {seen}")

    changed = client.vaults.update(made.id, metadata='{"environment": "production"}')
    equal((changed.name, changed.description), (name, "Production Vault"), "left alone")
    equal(changed.metadata, '{"environment": "production"}', "changed")
    renamed = client.vaults.update(made.id, name=name + ".renamed/too_")
    equal(renamed.name, name + ".renamed/too_", "renamed")
    cleared = client.vaults.update(made.id, description="", metadata="")
    equal((cleared.description, cleared.metadata), ("", ""), "cleared")

    client.vaults.delete(made.id)
    refused(404, "", client.vaults.get, made.id)


def secrets_live():
    vault = client.vaults.create(name=unique("vault"))
    made = new_secret(vault, description="Database password", metadata="env=prod")
    seen = attributes(made)
    equal(seen["vault"].id, vault.id, "vault.id")
    equal(seen["vault"].uri, vault.uri, "vault.uri")
    equal(seen["created_by"].uri, "", "created_by.uri of a user")
    equal(seen["created_by"].id, vault.created_by, "who made it")
    if "vault_name" in seen:
        equal(seen["vault_name"], vault.name, "vault_name")
    check("value" not in seen, "a value")

    changed = client.secrets.update(made.id, value=CANARY + "2")
    equal((changed.name, changed.description, changed.metadata), (made.name, "Database password", "env=prod"), "kept")
    cleared = client.secrets.update(made.id, description="", metadata="")
    equal((cleared.description, cleared.metadata), ("", ""), "cleared")
    renamed = client.secrets.update(made.id, name=made.name + "-new")
    equal(client.secrets.get(made.id).name, renamed.name, "renamed")
    if "vault_name" in seen:
        client.vaults.update(vault.id, name=vault.name + "-new")
        equal(client.secrets.get(made.id).vault_name, vault.name + "-new", "vault_name follows its vault")

    refused(400, "ERR_NGROK_23003", client.vaults.delete, vault.id)
    made.delete()
    refused(404, "", client.secrets.get, made.id)
    client.vaults.delete(vault.id)


def a_secret_by_vault_name():
    vault = client.vaults.create(name=unique("vault"))
    made = client.secrets.create(name="by-name", value=CANARY, vault_name=vault.name)
    equal(made.vault.id, vault.id, "vault.id")
    refused(404, "ERR_NGROK_24009", client.secrets.create, name="x", value=CANARY, vault_name=unique("nowhere"))
    refused(400, "ERR_NGROK_24008", client.secrets.create, name="x", value=CANARY)


def changes_of_nothing():
    vault = client.vaults.create(name=unique("vault"), description="d")
    made = new_secret(vault)
    equal(attributes(client.vaults.update(vault.id)), attributes(vault), "an empty change of a vault")
    again = client.secrets.update(made.id, value=CANARY)
    equal(again.updated_at, made.updated_at, "the same value again")


def check_paging(what, pages, expected, limit):
    """The client's own iterator sees each item once, newest first, and the pages are as long as asked for."""
    seen = [item.id for item in pages]
    equal(seen, sorted(seen, reverse=True), f"{what}: newest first")
    equal(len(set(seen)), len(seen), f"{what}: nothing twice")
    equal([identifier for identifier in seen if identifier in expected], expected, f"{what}: each one, limit {limit}")


def paging_through_many():
    vault = client.vaults.create(name=unique("vault"))
    vaults = [client.vaults.create(name=unique("page")).id for _ in range(MANY)][::-1]
    secrets = [new_secret(vault).id for _ in range(MANY)][::-1]
    for limit in (None, "7", "50", "100"):
        check_paging("vaults", client.vaults.list(limit=limit), vaults, limit)
        check_paging("secrets", client.secrets.list(limit=limit), secrets, limit)
        by_vault = client.vaults.get_secrets_by_vault(vault.id, limit=limit)
        equal(len(by_vault.secrets), int(limit or 100), "length of the first page")
        equal([item.id for item in by_vault], secrets, f"by vault, limit {limit}")
    middle = secrets[MANY // 2]
    rest = client.vaults.get_secrets_by_vault(vault.id, before_id=middle)
    equal([item.id for item in rest], secrets[MANY // 2 + 1 :], "before the one in the middle")


def a_page_that_is_just_full():
    vault = client.vaults.create(name=unique("vault"))
    equal(client.vaults.get_secrets_by_vault(vault.id).secrets, [], "an empty list")
    for _ in range(4):
        new_secret(vault)
    page = client.vaults.get_secrets_by_vault(vault.id, limit="4")
    equal((len(page.secrets), page.next_page_uri), (4, None), "nothing more, no link")
    page = client.vaults.get_secrets_by_vault(vault.id, limit="3")
    check(page.next_page_uri.startswith(URL), f"link {page.next_page_uri}")


def filters():
    vault = client.vaults.create(name=unique("filtered"), metadata="team=a")
    for number in range(5):
        new_secret(vault, name=f"api/key.{number}", description=f"d{number}")
    equal([found.id for found in client.vaults.list(filter=f'obj.name == "{vault.name}"')], [vault.id], "by name")
    mine = f'obj.vault_name == "{vault.name}"'
    expressions = {
        'obj.name == "api/key.3"': 1,
        'obj.name != "api/key.3"': 4,
        'obj.name in ["api/key.0", "api/key.1", "other"]': 2,
        'obj.name.startsWith("api/") && !(obj.description == "d0")': 4,
        'obj.name.endsWith(".4") || obj.description == "d0"': 2,
        'obj.metadata == ""': 5,
        'obj.created_at > timestamp("2020-01-01T00:00:00Z")': 5,
        'obj.created_at > timestamp("2020-01-01T00:00:00Z") && obj.name > "api/key.2"': 2,
        'obj.description == "none such"': 0,
    }
    for expression, count in expressions.items():
        found = list(client.secrets.list(filter=f"{mine} && ({expression})", limit="2"))
        equal(len(found), count, expression)
    refused(400, "ERR_NGROK_250", client.secrets.list, filter="obj.name ==")


def errors():
    vault = client.vaults.create(name=unique("vault"))
    made = new_secret(vault)
    for resource, prefix in ((client.vaults, "vault_"), (client.secrets, "secret_"), (client.api_keys, "ak_")):
        refused(404, "", resource.get, prefix + UNKNOWN)
        refused(404, "", resource.delete, prefix + UNKNOWN)
        refused(404, "ERR_NGROK_222", resource.get, "1000")
    refused(400, "ERR_NGROK_23004", client.vaults.create, name=vault.name)
    refused(400, "ERR_NGROK_23001", client.vaults.create)
    refused(400, "ERR_NGROK_23000", client.vaults.create, name="no spaces")
    refused(400, "ERR_NGROK_23002", client.vaults.create, name="n" * 256)
    refused(400, "ERR_NGROK_24005", new_secret, vault, name=made.name)
    refused(400, "ERR_NGROK_24000", new_secret, vault, name="no spaces")
    refused(400, "ERR_NGROK_24003", client.secrets.update, made.id, value="")
    refused(404, "ERR_NGROK_24006", client.secrets.create, name="x", value=CANARY, vault_id="vault_" + UNKNOWN)
    refused(400, "ERR_NGROK_233", client.vaults.list, limit="101")
    error = refused(400, "ERR_NGROK_23003", client.vaults.delete, vault.id)
    check(error.operation_id.startswith("op_"), f"operation id {error.operation_id}")


def bad_keys():
    unknown = UNKNOWN + "_59G1nFjCYtpoGt8Fp41Fm"
    for key, code in ((unknown, "ERR_NGROK_203"), ("nonsense", "ERR_NGROK_202"), ("ak_" + UNKNOWN, "ERR_NGROK_208")):
        refused(403, code, ngrok.Client(key, URL).vaults.list)


def a_base_url_with_a_slash():
    equal(ngrok.Client(KEY, URL + "/").vaults.list(limit="1").uri, URL + "/vaults", "uri")


def api_keys():
    made = client.api_keys.create(description="for tests", metadata='{"a": 1}')
    attributes(made)
    check(made.token.split("_")[0] == made.id.split("_")[1], "token and id begin alike")
    theirs = ngrok.Client(made.token, URL)
    equal(theirs.api_keys.get(made.id).token, None, "the token, later")
    equal(theirs.api_keys.update(made.id, description="", metadata="m").description, "", "cleared")
    check(made.id in [key.id for key in client.api_keys.list(limit="2")], "listed")
    made.delete()
    refused(403, "ERR_NGROK_203", theirs.vaults.list)


def users(service, prefix):
    made = service.create(name=unique("robot"))
    check(made.active is True and made.id.startswith(prefix), f"{made}")
    attributes(made)
    key = client.api_keys.create(owner_id=made.id)
    theirs = ngrok.Client(key.token, URL)
    vault = theirs.vaults.create(name=unique("by-a-robot"))
    equal(vault.created_by.split("_")[1], made.id.split("_")[1], "created_by")
    secret = theirs.secrets.create(name="s", value=CANARY, vault_id=vault.id)
    equal((secret.created_by.id, secret.created_by.uri), (vault.created_by, ""), "created_by of a secret")
    refused(403, "ERR_NGROK_4111", theirs.bot_users.create, name="another")

    equal(service.update(made.id, active=False).active, False, "inactive")
    refused(403, "ERR_NGROK_636", theirs.vaults.list)
    equal(service.update(made.id, active=True).active, True, "active again")
    theirs.vaults.list()
    refused(400, "ERR_NGROK_4112", service.create, name=made.name)
    check(made.id in [user.id for user in service.list(limit="2")], "listed")
    spare = service.create(name=unique("spare"), active=False)
    equal(service.get(spare.id).active, False, "made inactive")
    service.delete(spare.id)
    refused(404, "", service.get, spare.id)


def ip_restrictions():
    policy = client.ip_policies.create(description="offices")
    attributes(policy)
    equal(client.ip_policies.update(policy.id, metadata="m").description, "offices", "left alone")
    rule = client.ip_policy_rules.create(cidr="127.0.0.0/8", ip_policy_id=policy.id, action="allow")
    equal((rule.cidr, rule.action), ("127.0.0.0/8", "allow"), "rule")
    equal(attributes(rule)["ip_policy"].uri, policy.uri, "ip_policy.uri")
    refused(400, "ERR_NGROK_1408", client.ip_policy_rules.create, "127.0.0.0/8", policy.id, "deny")
    refused(400, "ERR_NGROK_1409", client.ip_policy_rules.create, "127.0.0.1/8", policy.id, "deny")
    made = client.ip_restrictions.create(type="api", ip_policy_ids=[policy.id], enforced=True)
    equal([ref.id for ref in made.ip_policies], [policy.id], "ip_policies")
    attributes(made)
    # The client sends an empty list of policies along.
    kept = client.ip_restrictions.update(made.id, description="d")
    equal(([ref.id for ref in kept.ip_policies], kept.enforced), ([policy.id], True), "left alone")
    refused(409, "ERR_STRONGROOM_1061", client.ip_policy_rules.update, rule.id, cidr="192.0.2.0/24")
    refused(400, "ERR_NGROK_1420", client.ip_policies.delete, policy.id)
    check(made.id in [item.id for item in client.ip_restrictions.list(limit="2")], "listed")
    check(rule.id in [item.id for item in client.ip_policy_rules.list(limit="2")], "rule listed")
    made.delete()
    other = client.ip_policy_rules.update(rule.id, cidr="192.0.2.0/24")
    equal((other.cidr, client.ip_policy_rules.get(rule.id).cidr), ("192.0.2.0/24",) * 2, "changed")
    policy.delete()
    refused(404, "ERR_NGROK_1404", client.ip_policy_rules.get, rule.id)
    refused(404, "ERR_NGROK_1402", client.ip_policies.get, policy.id)


def no_value_anywhere():
    check(len(answers) > MANY, f"only {len(answers)} answers were recorded")
    check(any(UNKNOWN in answer for answer in answers), "the record cannot be searched")
    found = [answer for answer in answers if CANARY in answer]
    check(not found, f"a value in {found[:1]}")


def main():
    record_answers()
    checks = Checks(f"Python {VERSION}")
    for case in (vaults_live, secrets_live, changes_of_nothing, a_page_that_is_just_full, paging_through_many):
        checks.run(case.__name__.replace("_", " "), case)
    for case in (errors, bad_keys, a_base_url_with_a_slash, api_keys):
        checks.run(case.__name__.replace("_", " "), case)
    checks.run("IP restrictions", ip_restrictions)
    checks.run("bot users", users, client.bot_users, "bot_")
    if knows_filters:
        checks.run("service users", users, client.service_users, "service_")
        checks.run("filters", filters)
        checks.run("a secret by vault name", a_secret_by_vault_name)
    else:
        print(f"      {checks.title}: has no filters, service users or vault names")
    checks.run("no value anywhere", no_value_anywhere)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
