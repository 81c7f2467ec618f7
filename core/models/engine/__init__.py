"""One inference engine a process: all sessions' requests for the same network are gathered into its fixed chunks.

A network runs in padded chunks of one fixed size (``core.models.chunks``), so that a row's result does not depend on its
neighbours. The padding is paid for whether or not it is used: ``gathered`` fills it with other sessions' rows. The bytes are the
same as alone.

- One lane a device, with one worker; on the processor one a core, each of which computes with a single thread. Rows are taken in
  turns, one of each session. Many rows of one visitor go through several workers at once.
- A visitor who is alone does not wait for others' rows.
- Work with a gradient runs in its own thread and takes the device for short steps: ``with turn(device)``.
- Results of networks that never change are kept by content (``core.models.kept_rows``) where the visit says so, and a row that two
  sessions ask for at the same time is computed once.
"""

from core.models.engine.engine import Engine, engine, gathered, turn

__all__ = ["Engine", "engine", "gathered", "turn"]
