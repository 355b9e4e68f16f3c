"""Installing the tests' packages, with stand-ins for Debian's commands."""

from pathlib import Path

import debian
import pytest
from debian import CannotInstall

ALL = debian.packages(15)


class Machine:
    """A Debian whose commands are scripts that write down how they were called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.setattr(debian, "NO_MAIN_CLUSTER", folder / "createcluster.d" / "rendio.conf")
        monkeypatch.setattr(debian, "NO_SERVICES", folder / "policy-rc.d")
        monkeypatch.setattr(debian.os, "geteuid", lambda: 0)
        monkeypatch.delenv("RENDIO_APT", raising=False)
        self.clusters("")
        self.has()
        self.command("systemctl", "")
        self.command("apt-cache", '[ "$2" = postgresql-15 ]')
        self.command("apt-get", "")

    def command(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.folder}/calls\n{script}\n')
        path.chmod(0o755)

    def has(self, *installed: str) -> None:
        self.command("dpkg-query", "".join(f"echo '{name} installed'\n" for name in installed))

    def clusters(self, listing: str) -> None:
        self.command("pg_lsclusters", f"echo '{listing}'")

    def calls(self, name: str) -> list[str]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [line for line in lines if line.startswith(f"{name} ")]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_nothing_missing_nothing_called(machine: Machine) -> None:
    machine.has(*ALL)
    debian.ensure_installed(15)
    assert machine.calls("apt-get") == []


def test_only_what_is_missing_is_installed(machine: Machine) -> None:
    machine.has("postgresql-15", "postgresql-15-pgtap")
    debian.ensure_installed(15)
    (call,) = machine.calls("apt-get")
    assert call.endswith(" ".join(p for p in ALL if p not in ("postgresql-15", f"{ALL[0]}-pgtap")))
    assert "--no-upgrade" in call
    assert machine.calls("systemctl") == ["systemctl --quiet disable pgbouncer"]


def test_no_cluster_is_made_and_no_service_started(machine: Machine) -> None:
    seen = machine.folder / "seen"
    machine.command(
        "apt-get",
        f"cat {debian.NO_MAIN_CLUSTER} {debian.NO_SERVICES} > {seen}; {debian.NO_SERVICES}",
    )
    with pytest.raises(CannotInstall):  # the stand-in ends with the policy's code, 101
        debian.ensure_installed(15)
    assert "create_main_cluster = false" in seen.read_text()
    assert "exit 101" in seen.read_text()
    assert not debian.NO_MAIN_CLUSTER.exists()
    assert not debian.NO_SERVICES.exists()


def test_the_machine_s_own_policy_stays(machine: Machine) -> None:
    debian.NO_SERVICES.write_text("#!/bin/sh\nexit 0\n")
    debian.ensure_installed(15)
    assert debian.NO_SERVICES.read_text() == "#!/bin/sh\nexit 0\n"


def test_a_policy_of_ours_that_stayed_is_removed(machine: Machine) -> None:
    debian.NO_SERVICES.write_text(f"#!/bin/sh\n{debian.MARK}exit 101\n")
    debian.ensure_installed(15)
    assert not debian.NO_SERVICES.exists()


def test_lists_are_fetched_when_installing_fails(machine: Machine) -> None:
    machine.command(
        "apt-get",
        f'case "$*" in *update*) touch {machine.folder}/lists;; esac\n'
        f"[ -e {machine.folder}/lists ]",
    )
    debian.ensure_installed(15)
    assert [("update" in call) for call in machine.calls("apt-get")] == [False, True, False]


def test_another_debian_offers_another_postgresql(machine: Machine) -> None:
    machine.command("apt-cache", '[ "$2" = postgresql-17 ]')
    debian.ensure_installed()
    assert "postgresql-17-pgtap" in machine.calls("apt-get")[-1]


@pytest.mark.parametrize(
    ("environment", "uid", "says"),
    [({"RENDIO_APT": "0"}, 0, "RENDIO_APT=0 forbids it"), ({}, 1000, "Only root installs")],
)
def test_not_allowed(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    uid: int,
    says: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(debian.os, "geteuid", lambda: uid)
    machine.has(*ALL[1:])
    with pytest.raises(CannotInstall, match=says) as caught:
        debian.ensure_installed()
    assert "apt-get install --no-install-recommends postgresql-15\n" in str(caught.value)
    assert machine.calls("apt-get") == []


RUNNING = "15  main    5432 online postgres /var/lib/postgresql/15/main /var/log/x.log"


def test_a_running_cluster_is_not_touched_without_asking(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.clusters(RUNNING)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(CannotInstall, match=r"PostgreSQL runs here \(15/main\)"):
        debian.ensure_installed(15)
    assert machine.calls("apt-get") == []


@pytest.mark.parametrize(("answer", "installed"), [("y", 1), ("", 0), ("n", 0)])
def test_a_person_decides_about_a_running_cluster(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, answer: str, installed: int
) -> None:
    machine.clusters(RUNNING)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    if installed:
        debian.ensure_installed(15)
    else:
        with pytest.raises(CannotInstall):
            debian.ensure_installed(15)
    assert len(machine.calls("apt-get")) == installed


def test_a_cluster_that_is_down_is_no_obstacle(machine: Machine) -> None:
    machine.clusters(RUNNING.replace("online", "down"))
    debian.ensure_installed(15)
    assert len(machine.calls("apt-get")) == 1
