"""The Debian package: what is in it, and that it comes and goes without a trace. It is
installed into a root of its own, never onto this machine."""

import gzip
import os
import re
import shutil
import subprocess

import pytest
from peers.process import BUILD, ROOT, sanitized

pytestmark = [
    pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg is not on this machine"),
    pytest.mark.skipif(sanitized(), reason="it is built without sanitizers anyway"),
]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="dpkg installs as root only")


def run(*words, **options):
    options.setdefault("timeout", 600)
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package():
    return ROOT / run(ROOT / "run", "package").splitlines()[-1]


def control(package, field):
    return run("dpkg-deb", "-f", package, field).strip()


def listing(package):
    """path → mode and owner."""
    found = {}
    for line in run("dpkg-deb", "-c", package).splitlines():
        mode, owner, _, _, _, path = line.split(maxsplit=5)
        found[path.removeprefix(".")] = (mode, owner)
    return found


WANTED = """
/usr/bin/ringback /usr/bin/ringback-worker /usr/bin/ringback-notifier
/etc/ringback/ringback.yaml /etc/ringback/services/
/usr/lib/systemd/system/ringback-worker.service
/usr/lib/systemd/system/ringback-notifier.service
/usr/lib/systemd/system/ringback-notifier.socket
/usr/lib/systemd/system/ringback-worker-drain.service
/usr/lib/systemd/system/ringback-worker-drain.timer
/usr/lib/systemd/system/ringback-.service.d/10-common.conf
/usr/lib/sysusers.d/ringback.conf
/usr/share/man/man1/ringback.1.gz
/usr/share/man/man8/ringback-worker.8.gz /usr/share/man/man8/ringback-notifier.8.gz
/usr/share/man/man5/ringback.yaml.5.gz /usr/share/man/man5/ringback-services.5.gz
/usr/share/bash-completion/completions/ringback
/usr/share/bash-completion/completions/ringback-worker
/usr/share/bash-completion/completions/ringback-notifier
/usr/share/zsh/vendor-completions/_ringback
/usr/share/fish/vendor_completions.d/ringback.fish
/usr/share/doc/ringback/copyright /usr/share/doc/ringback/changelog.gz
/usr/share/doc/ringback/CHANGELOG.md /usr/share/doc/ringback/README.md
/usr/share/doc/ringback/examples/services/stock-quote.yaml
/usr/share/doc/ringback/nginx/ringback.conf
/usr/share/ringback/web/ringback.js /usr/share/ringback/web/ringback.d.ts
/usr/share/ringback/web/ringback-enqueue.js /usr/share/ringback/web/ringback-tabs.js
""".split()


def test_what_is_in_it(package):
    version = re.search(r"project\(ringback VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())
    arch = run("dpkg", "--print-architecture").strip()
    assert package.name == f"ringback_{version.group(1)}_{arch}.deb"
    there = listing(package)
    assert set(WANTED) <= set(there), set(WANTED) - set(there)
    assert all(owner == "root/root" for _, owner in there.values())
    assert all(mode[8] != "w" and "s" not in mode for mode, _ in there.values())
    assert not [path for path in there if ".wants" in path], "nothing is enabled"
    assert not [path for path in there if path.startswith("/etc/ringback/services/") and
                path != "/etc/ringback/services/"]  # fmt: skip
    for library in "libc6 libcurl4 libev4 libhiredis libjansson4 libssl3 libyaml-0-2".split():
        assert library in control(package, "Depends")
    assert control(package, "Version") == version.group(1)
    name, address = os.environ.get("DEBFULLNAME"), os.environ.get("DEBEMAIL")
    maker = f"{name} <{address}>" if name and address else "The ringback authors <no-address@ringback.invalid>"
    assert control(package, "Maintainer") == maker


def test_the_changelog_tells_this_version(package):
    version = control(package, "Version")
    assert f"\n## {version} - " in (ROOT / "config" / "CHANGELOG.md").read_text()


def test_lintian_finds_no_error(package):
    if not shutil.which("lintian"):
        pytest.skip("lintian is not on this machine")
    done = subprocess.run(["lintian", "--fail-on", "error", "--allow-root", package],
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stdout


# ---------------------------------------------------------------------- coming and going


@pytest.fixture
def system(folder):
    """A root without anything but dpkg's own notes."""
    root = folder / "root"
    for path in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "etc"):
        (root / path).mkdir(parents=True)
    for path in ("status", "available"):
        (root / "var/lib/dpkg" / path).touch()
    return root


def dpkg(root, *words):
    # The scripts run outside of the root, and are told where it is.
    return run("dpkg", f"--root={root}", "--force-depends", "--force-script-chrootless",
               "--force-confold", f"--log={root}/../dpkg.log", *words,
               env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})  # fmt: skip


def traces(root):
    """What is left of it, besides what dpkg notes."""
    left = [str(path.relative_to(root)) for path in root.rglob("*ringback*")
            if "var/lib/dpkg" not in str(path)]  # fmt: skip
    for name in ("passwd", "group", "shadow", "gshadow"):
        file = root / "etc" / name
        if file.exists() and re.search("^ringback", file.read_text(), re.MULTILINE):
            left.append(f"a line in {name}")
    return left


@as_root
def test_it_comes_and_goes(package, system, redis):
    assert not traces(system)
    dpkg(system, "-i", package)
    env = {**os.environ, "RINGBACK_REDIS_URL": redis.url}
    config = system / "etc/ringback/ringback.yaml"
    for program in ("ringback", "ringback-worker", "ringback-notifier"):
        said = run(system / "usr/bin" / program, "--version")
        assert said.startswith(f"{program} {control(package, 'Version')}\nlibev 4")
    for program in ("ringback-worker", "ringback-notifier"):
        run(system / "usr/bin" / program, "-c", config, "--check", env=env)
    run(system / "usr/bin/ringback", "-c", config, "check", "--connect", env=env)
    assert re.search("^ringback:", (system / "etc/passwd").read_text(), re.MULTILINE)
    assert not list(system.rglob("*.wants"))

    # What an operator wrote outlives an upgrade and a removal.
    config.write_text(config.read_text() + "\n# mine\n")
    mine = system / "etc/ringback/services/mine.yaml"
    mine.write_text("service: mine\nrequest: {url: 'http://127.0.0.1/'}\n")
    dpkg(system, "-i", package)
    assert config.read_text().endswith("# mine\n")
    dpkg(system, "-r", "ringback")
    assert not (system / "usr/bin").exists() and config.exists() and mine.exists()

    dpkg(system, "-P", "ringback")
    assert not config.exists() and mine.exists(), "a definition is not the package's"
    mine.unlink()
    shutil.rmtree(system / "etc/ringback")
    assert not traces(system)


@as_root
def test_a_purge_leaves_nothing(package, system):
    dpkg(system, "-i", package)
    dpkg(system, "-P", "ringback")
    assert not traces(system)


@as_root
def test_the_installed_units(package, system, folder):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not on this machine")
    dpkg(system, "-i", package)
    units = system / "usr/lib/systemd/system"
    for unit in units.glob("*.service"):
        text = unit.read_text()
        assert "ExecStart=/usr/bin/ringback-" in text and " -c /etc/ringback/ringback.yaml" in text
        unit.write_text(text.replace("/usr/bin/", f"{system}/usr/bin/"))
    env = {"SYSTEMD_UNIT_PATH": f"{units}:", "PATH": "/usr/bin"}
    for unit in units.glob("ringback-*.*"):
        if unit.is_file():
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit],
                                  capture_output=True, text=True, env=env)  # fmt: skip
            assert done.returncode == 0 and unit.name not in done.stderr, done.stderr


@as_root
def test_the_installed_pages(package, system):
    dpkg(system, "-i", package)
    pages = list((system / "usr/share/man").rglob("*.gz"))
    assert len(pages) == 5
    for page in pages:
        assert gzip.decompress(page.read_bytes()).startswith(b".\\\"")


def test_other_prefixes(folder):
    """Units know where the programs of their installation are."""
    run("cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_INSTALL_PREFIX=/usr/local",
        "-DRINGBACK_TESTS=OFF")  # fmt: skip
    unit = (folder / "config/systemd/ringback-worker.service").read_text()
    assert "ExecStart=/usr/local/bin/ringback-worker -c /usr/local/etc/ringback/" in unit
    assert not (folder / "CPackConfig.cmake").exists(), "only /usr makes a package"


def test_an_installation_without_a_package(folder):
    """cmake --install, below DESTDIR; what an operator wrote is kept."""
    if not (BUILD / "manual" / "ringback.1.gz").exists():
        pytest.skip("this build made single programs alone")
    env = {**os.environ, "DESTDIR": str(folder / "to")}
    run("cmake", "--install", BUILD, env=env)
    config = next((folder / "to").rglob("ringback.yaml"))
    assert "services: services" in config.read_text()
    config.write_text("log: {level: warn}\n")
    run("cmake", "--install", BUILD, env=env)
    assert config.read_text() == "log: {level: warn}\n"
    assert len(list((folder / "to").rglob("ringback*.gz"))) == 5
