"""Runs the official Python and Rust clients, the replayed requests of the others, and a receiver of webhooks against a real
server.

    run.py --bin PATH --venvs DIR [--database URL --password-file FILE]
    run.py --prepare --venvs DIR

Each version of the Python client, and the library of Standard Webhooks, gets a virtual environment below DIR, made when it is missing; the Rust client is built
by cargo. The server gets a fresh data folder and ends with this script. The last line is `N passed, N failed`; the exit
status is 0 only where nothing failed. With --prepare the environments and the Rust client are made, and nothing is run.
"""

import argparse
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

CLIENTS = ("ngrok-api==0.19.0", "ngrok-api==0.17.0")
RECEIVER = "standardwebhooks==1.1.0"
RUST_CLIENT = ["--quiet", "--package", "strongroom-compat-rust"]
HERE = pathlib.Path(__file__).resolve().parent
PATIENCE = 30


def python_with(venvs, package):
    """The interpreter of an environment that holds this version of a package."""
    home = venvs / package.replace("==", "-")
    python = home / "bin" / "python"
    # Written last: an environment whose making was cut off is made again.
    mark = home / "complete"
    if not mark.exists():
        print(f"      making {home.name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, package], check=True)
        mark.touch()
    return python


@contextlib.contextmanager
def serving(binary, store):
    """A server on a fresh data folder, told where its store is: its URL and its first key."""
    with tempfile.TemporaryDirectory() as folder:
        data, log = pathlib.Path(folder, "data"), pathlib.Path(folder, "log")
        command = [str(binary), "serve", "--data-dir", str(data), "--listen", "127.0.0.1:0"]
        # Webhooks are received on this machine.
        command += ["--webhooks-allow-private", *store]
        settings = {name: value for name, value in os.environ.items() if not name.startswith("STRONGROOM_")}
        with log.open("w") as output:
            server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=settings)
        try:
            yield wait_for_url(server, log), (data / "first-api-key").read_text().strip()
        finally:
            server.terminate()
            try:
                server.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_for_url(server, log):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        printed = re.search(r"^\s*URL\s+(http://\S+)\n", log.read_text(), re.MULTILINE)
        if printed:
            return printed.group(1).rstrip("/")
        time.sleep(0.01)
    sys.exit(f"the server does not listen:\n{log.read_text()}")


def run_checks(command, url, key):
    """Shows what the script prints and adds up its last line. A script that dies counts as a failure."""
    environment = {**os.environ, "STRONGROOM_URL": url, "STRONGROOM_API_KEY": key}
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=HERE) as script:
        for line in script.stdout:
            last = line.strip()
            if not re.match(r"^\d+ passed, \d+ failed$", last):
                print(line, end="", flush=True)
    sums = re.match(r"^(\d+) passed, (\d+) failed$", last)
    if not sums:
        print(f"FAIL  {' '.join(command[:3])} ended with {script.returncode} and no sum", flush=True)
        return 0, 1
    return int(sums.group(1)), int(sums.group(2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--bin", type=pathlib.Path, help="the strongroom binary")
    what.add_argument("--prepare", action="store_true", help="only make what the clients need")
    parser.add_argument("--venvs", required=True, type=pathlib.Path, help="folder of the virtual environments")
    parser.add_argument("--database", metavar="URL", help="a new PostgreSQL database for the server's store")
    parser.add_argument("--password-file", metavar="FILE", help="the file with the database's password")
    arguments = parser.parse_args()
    store = ["--database", arguments.database] if arguments.database else []
    store += ["--database-password-file", arguments.password_file] if arguments.password_file else []
    venvs = arguments.venvs.resolve()
    clients = [python_with(venvs, client) for client in CLIENTS]
    receiver = python_with(venvs, RECEIVER)
    if arguments.prepare:
        # In place of this program: whoever ends it ends the build.
        os.chdir(HERE)
        os.execvp("cargo", ["cargo", "build", *RUST_CLIENT])
    passed = failed = 0
    with serving(arguments.bin.resolve(), store) as (url, key):
        scripts = [[str(python), str(HERE / "python" / "client_test.py")] for python in clients]
        scripts += [["cargo", "run", *RUST_CLIENT], [sys.executable, str(HERE / "replay.py")]]
        scripts += [[str(receiver), str(HERE / "python" / "webhook_test.py")]]
        for script in scripts:
            more_passed, more_failed = run_checks(script, url, key)
            passed, failed = passed + more_passed, failed + more_failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
