"""The identity of a folder, on which all of its processes agree."""

import errno
import os
from pathlib import Path

import pytest
from tests.support.owners import MakeOwners, Start, line, names
from tests.support.platforms import only_on_posix

from blockrun_image_mcp.ledger import owners as ledger_owners
from blockrun_image_mcp.ledger.owners import Owners

posix_only = only_on_posix("signals, forks and flock")

IDENTIFYING = """
say("ready")
for line in sys.stdin:
    say(Owners(Path(line.strip())).folder_identity())
"""


def test_processes_that_start_together_agree_on_the_identity(tmp_path: Path, start: Start) -> None:
    processes = [start(IDENTIFYING, tmp_path) for _ in range(8)]
    assert {line(process) for process in processes} == {"ready"}
    identities: set[str] = set()
    for number in range(25):
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{tmp_path / str(number)}\n")
            process.stdin.flush()
        [identity] = {line(process) for process in processes}
        assert names(tmp_path / str(number)) == ["identity"]
        identities.add(identity)
    assert len(identities) == 25


@posix_only
@pytest.mark.parametrize("faster", ["a sweep", "another process"])
def test_identity_is_written_whole_or_read_from_a_faster_process(
    owners: Owners, make_owners: MakeOwners, folder: Path, monkeypatch: pytest.MonkeyPatch, faster: str
) -> None:
    link, fsync = Path.hardlink_to, os.fsync
    others: list[str] = []
    on_disk: list[int] = []

    def be_faster(path: Path, target: Path) -> None:
        assert len(target.read_text()) == 32
        assert on_disk == [target.stat().st_ino]
        monkeypatch.undo()
        if faster == "a sweep":
            assert make_owners().sweep(set()) == 1
        else:
            others.append(make_owners().folder_identity())
        link(path, target)

    def note(descriptor: int) -> None:
        fsync(descriptor)
        on_disk.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(Path, "hardlink_to", be_faster)
    monkeypatch.setattr(os, "fsync", note)
    identity = owners.folder_identity()
    assert others in ([], [identity])
    assert names(folder) == ["identity"]
    assert make_owners().folder_identity() == identity


@pytest.mark.parametrize("text", ["", "me", "\xe9" * 32])
def test_invalid_identity_is_an_error_until_repaired(owners: Owners, folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "identity").write_text(text, encoding="utf-8")
    with pytest.raises(OSError, match="identity"):
        owners.folder_identity()
    owners.mend_folder_identity()
    identity = owners.folder_identity()
    owners.mend_folder_identity()
    assert owners.folder_identity() == identity


@posix_only
def test_identity_is_shared_without_hard_links(
    owners: Owners, make_owners: MakeOwners, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, others = ledger_owners.create, list[str]()

    def no_link(_path: Path, _target: Path) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    def be_faster(path: Path) -> int:
        if path.name == "identity" and not others:
            others.append("")
            others[0] = make_owners().folder_identity()
        return create(path)

    monkeypatch.setattr(Path, "hardlink_to", no_link)
    monkeypatch.setattr(ledger_owners, "create", be_faster)
    assert owners.folder_identity() == others[0] == make_owners().folder_identity()
    assert names(folder) == ["identity"]
