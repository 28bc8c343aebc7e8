/**
 * The memory of all messages that are being received, over all sessions of the process.
 *
 * Invariant: what sessions hold beyond a small floor each stays below the budget, but for one chunk of each and for the
 * few that are favoured. A session that has to wait goes on in the end, whoever else stalls: up to FAVOURED of those that
 * wait may grow whatever the others hold, so that full memory can't stop all messages for good.
 */

export interface Memory {
  /** One message's share. To be closed when nothing of it is held any more. */
  open(): Share;
  /** What all hold beyond their floors. */
  readonly heldBytes: number;
}

export interface Share {
  /** Says what is held now. False: it has grown where there is no room, and has to wait for `room`. */
  hold(bytes: number): boolean;
  /** Resolves when the next chunk may be taken, in the order of asking; at once when the share is closed. */
  room(): Promise<void>;
  close(): void;
}

const FLOOR_BYTES = 32 * 1024;
const CHUNK_BYTES = 64 * 1024; // what a session is about to take when it goes on
const FAVOURED = 8;

export function createMemory(maxBytes: number): Memory {
  const waiting = new Map<symbol, () => void>();
  const favoured = new Set<symbol>();
  let heldBytes = 0;

  const serve = () => {
    for (const [id, go] of waiting) {
      if (heldBytes >= maxBytes) {
        if (favoured.size >= FAVOURED) return;
        favoured.add(id);
      }
      waiting.delete(id);
      go();
    }
  };

  function open(): Share {
    const id = Symbol();
    let said = 0;
    let counted = 0; // beyond the floor
    let closed = false;
    const count = (bytes: number) => {
      const beyond = Math.max(0, bytes - FLOOR_BYTES);
      const freed = beyond < counted;
      heldBytes += beyond - counted;
      counted = beyond;
      if (freed && waiting.size > 0) serve();
    };
    return {
      hold(bytes) {
        const grown = bytes > said;
        said = bytes;
        if (!closed) count(bytes);
        return !grown || counted === 0 || heldBytes < maxBytes || favoured.has(id) || closed;
      },
      room: () =>
        new Promise((resolve) => {
          if (closed) return resolve();
          waiting.set(id, () => {
            if (!closed) count(said + CHUNK_BYTES);
            resolve();
          });
          serve();
        }),
      close() {
        if (closed) return;
        closed = true;
        const go = waiting.get(id);
        waiting.delete(id);
        favoured.delete(id);
        count(0);
        go?.();
        serve();
      },
    };
  }

  return {
    open,
    get heldBytes() {
      return heldBytes;
    },
  };
}
