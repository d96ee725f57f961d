"""The artefact container: one file of typed, checksummed, memory-mapped blocks, written atomically, no pickle."""

from tlclassic.storage.atomic import atomic_write, check_destination
from tlclassic.storage.layout import FORMAT
from tlclassic.storage.reader import Artifact, is_artifact
from tlclassic.storage.writer import ArtifactWriter, BlockStream

__all__ = ["FORMAT", "Artifact", "ArtifactWriter", "BlockStream", "atomic_write", "check_destination", "is_artifact"]
