"""One inference engine a process: all sessions' requests for the same network are batched into its fixed chunks.

A network runs in padded chunks of one fixed size (``core.models.device.run_in_chunks``), so that a row's result does not depend on
its neighbours. The padding costs the same whether or not it is used: ``batched`` fills it with other sessions' rows. The bytes are
the same as alone.

- One ``DeviceWorker`` a device, with one thread; on the processor one thread a core, each of which computes with a single OpenMP
  thread. Rows are taken in turns, one of each session. Many rows of one visitor go through several threads at once.
- A visitor who is alone does not wait for others' rows.
- Work with a gradient runs in its own thread and takes the device for short steps: ``with device_turn(device)``.
- Results of networks that never change are cached by content (``core.models.engine.queue``) where the request's context allows
  it, and a row that two sessions ask for at the same time is computed once.
"""

from core.models.engine.engine import Engine, batched, device_turn, get_engine

__all__ = ["Engine", "batched", "device_turn", "get_engine"]
