import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where the scripted provider listens. */
export const DOUBLE = process.env.DOUBLE_URL ?? ''
const PROGRAMS = process.env.PROGRAMS ?? ''
const STARTS_WITHIN_MS = 30_000

/** A running node, and calls of its API with the management key. */
export class Node {
  constructor(
    readonly url: string,
    readonly key: string
  ) {}

  /** Calls the API; answers `data`. Fails unless the node accepts it. */
  async call<T = { id: number }>(method: string, path: string, body?: unknown): Promise<T> {
    const headers = { Authorization: `Bearer ${this.key}`, 'Content-Type': 'application/json' }
    const answer = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) } as RequestInit)
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
    return (JSON.parse(text) as { data: T }).data
  }

  /** A group in front of the double. */
  group(name: string, more: Record<string, unknown> = {}) {
    const body = {
      name,
      channel_type: 'openai',
      test_model: 'gpt-5-mini',
      upstreams: [{ url: DOUBLE, weight: 1 }],
      ...more
    }
    return this.call('POST', '/api/groups', body)
  }

  /** Adds keys that are active at once. */
  addKeys(group_id: number, keys: readonly string[]) {
    return this.call('POST', '/api/keys/add-multiple', { group_id, keys, new_key_state: 'active' })
  }

  /** A client's request through the gateway; answers the status. */
  async chat(group: string, proxyKey: string, model = 'gpt-5-mini'): Promise<number> {
    const answer = await fetch(`${this.url}/proxy/${group}/v1/chat/completions`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${proxyKey}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] })
    })
    await answer.text()
    return answer.status
  }
}

/** A node of its own that a test may stop and start again with the same data at the same address. */
export class OwnNode extends Node {
  private process: ChildProcess | undefined

  private constructor(
    private readonly port: number,
    private readonly folder: string
  ) {
    super(`http://127.0.0.1:${port}`, 'never-printed-management-key-of-a-test')
  }

  static async make(): Promise<OwnNode> {
    const node = new OwnNode(await freePort(), await mkdtemp(join(tmpdir(), 'gpt-load-e2e-')))
    await node.start()
    return node
  }

  async start(): Promise<void> {
    const env = {
      PATH: process.env.PATH,
      HOST: '127.0.0.1',
      PORT: String(this.port),
      DATA_DIR: this.folder,
      AUTH_KEY: this.key
    }
    const started = spawn(join(PROGRAMS, 'gpt-load'), { cwd: this.folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.process = started
    let said = ''
    const ready = new Promise<void>((resolve, reject) => {
      const listen = (chunk: Buffer) => {
        said += chunk.toString()
        void fetch(`${this.url}/health/ready`).then(
          answer => answer.ok && resolve(),
          () => undefined
        )
      }
      started.stdout.on('data', listen)
      started.stderr.on('data', listen)
      started.once('exit', () => reject(new Error(`the node ended:\n${said}`)))
      setTimeout(() => reject(new Error(`the node is not ready in time:\n${said}`)), STARTS_WITHIN_MS).unref()
    })
    await ready
  }

  /** Ends the process as a machine that dies does. */
  async kill(): Promise<void> {
    const running = this.process
    this.process = undefined
    if (!running || running.exitCode !== null) return
    const ended = once(running, 'exit')
    running.kill('SIGKILL')
    await ended
  }

  async remove(): Promise<void> {
    await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Tells the double what to do with a key: `{ status: 401 }`; a list is worked off request by request. */
export async function script(key: string, behaviour: unknown): Promise<void> {
  const path = `${DOUBLE}/__double/keys/${encodeURIComponent(key)}`
  const answer = await fetch(path, { method: 'PUT', body: JSON.stringify(behaviour) })
  if (!answer.ok) throw new Error(`the double refused: ${await answer.text()}`)
}
