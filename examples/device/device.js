// A lock that speaks docs/protocol.md, version 1, and was written from that document alone. Its bolt is a
// variable; everything else is as it would be in a door.
//
//   node device.js URL STATE [CLAIM_CODE [LONGEST_PAUSE]]
//
// STATE is the file that keeps who the device is and what it has to tell. With a claim code it enrols
// first. LONGEST_PAUSE between two tries to link is in seconds; it is 30.

import * as crypto from 'node:crypto'
import * as fs from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import WebSocket from 'ws'

const [url, path, claimCode, longest = '30'] = process.argv.slice(2)
const purpose = 'cardea.device.v1 '
const firmware = '1.0.0'

// What survives a loss of power: who the device is, its keys, its log. When save returns, it is safe.
let state
function save() {
  const file = fs.openSync(path + '.new', 'w', 0o600)
  fs.writeSync(file, JSON.stringify(state))
  fs.fsyncSync(file)
  fs.closeSync(file)
  fs.renameSync(path + '.new', path)
  const directory = fs.openSync(dirname(path), 'r')
  fs.fsyncSync(directory)
  fs.closeSync(directory)
}

// Keys and signatures.
const makeKey = () =>
  crypto.generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')
const privateKey = (key) => crypto.createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' })
const publicOf = (key) => crypto.createPublicKey(privateKey(key)).export({ format: 'der', type: 'spki' }).subarray(-32)
const spki = Buffer.from('302a300506032b6570032100', 'hex') // what precedes the 32 bytes of a public key
const sign = (key, bytes) => crypto.sign(null, bytes, privateKey(key)).toString('base64')
const hash = (text) => crypto.createHash('sha256').update(text).digest()
function transcript(...parts) {
  return Buffer.concat(parts.flatMap((part) => {
    const bytes = Buffer.isBuffer(part) ? part : Buffer.from(String(part))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    return [length, bytes]
  }))
}
function signedByServer(keyId, bytes, signature) {
  const known = state.serverKeys.find((key) => key.id === keyId)
  if (!known) return false
  const key = Buffer.concat([spki, Buffer.from(known.publicKey, 'base64')])
  return crypto.verify(null, bytes, crypto.createPublicKey({ key, format: 'der', type: 'spki' }),
    Buffer.from(signature, 'base64'))
}

// The value of a field of a frame, as it was sent.
function asSent(text, field) {
  let depth = 0, key, begin
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (c === '"') {
      const start = i
      while (text[++i] !== '"') if (text[i] === '\\') i++
      if (depth === 1 && begin === undefined) key = JSON.parse(text.slice(start, i + 1))
    } else if (c === ':' && depth === 1 && begin === undefined) begin = i + 1
    else if ((c === ',' || c === '}') && depth === 1) {
      if (key === field) return text.slice(begin, i).trim()
      begin = undefined
    } else if (c === '{' || c === '[') depth++
    else if (c === '}' || c === ']') depth--
  }
}

// The server's clock: what it showed, and when that was on our own that only goes forward. Never behind it.
let clock
const read = (instant) => Date.parse(instant) + 1 // what is finer than a millisecond is cut off
const serverNow = () => clock.showed + performance.now() - clock.at

// The log. Entries are sent as they come, and kept until they are acknowledged.
let socket // while it is linked
const send = (frame) => socket?.send(JSON.stringify(frame))
function log(entry) {
  state.sequence++
  const { type, ...rest } = entry
  const made = { type, sequence: state.sequence, at: new Date().toISOString(), ...rest }
  if (!socket) made.buffered = true
  state.log.push(made)
  save()
  send(made)
}
function forget(upTo) {
  state.log = state.log.filter((entry) => entry.sequence > upTo)
  save()
}

// The doors, by port, and what their locks do.
const doors = new Map()
const event = { LOCKED: 'lock.locked', UNLOCKED: 'lock.unlocked' }
function adopt(bound) {
  const before = new Map(doors)
  doors.clear()
  for (const is of bound) {
    const door = before.get(is.port) ?? { lock: 'LOCKED' }
    const [isNew, turned] = [door.doorId !== is.doorId, door.mode !== is.mode]
    doors.set(is.port, Object.assign(door, is))
    if (isNew) log({ type: 'report', port: is.port, event: event[door.lock], lockState: door.lock })
    if (is.mode === 'UNLOCKED') move(door, 'UNLOCKED')
    else if (turned && !(is.mode === 'CONTROLLED' && door.relock)) move(door, 'LOCKED')
  }
}
// move moves the bolt, and reports it if nobody asked for it in a command.
function move(door, to, commanded) {
  clearTimeout(door.relock)
  door.relock = undefined
  if (door.lock === to) return
  door.lock = to
  if (!commanded) log({ type: 'report', port: door.port, event: event[to], lockState: to })
}

const seen = new Map() // commands, and until when each is remembered
function command(c) {
  const answer = (stage, more) => log({ type: 'result', commandId: c.commandId, port: c.port, stage, ...more })
  const late = () => serverNow() >= Date.parse(c.notAfter)
  const door = doors.get(c.port)
  if (late()) return answer('EXPIRED', { reason: 'EXPIRED_BEFORE_DELIVERY' })
  if (door?.doorId !== c.doorId) return answer('REJECTED', { reason: 'UNSUPPORTED' })
  answer('ACKNOWLEDGED')
  setTimeout(() => { // the bolt takes its time
    if (late()) return answer('EXPIRED', { reason: 'EXPIRED_BEFORE_DELIVERY' })
    if (c.verb === 'UNLOCK' && door.mode === 'LOCKDOWN') return answer('FAILED', { reason: 'LOCKDOWN' })
    move(door, c.verb === 'UNLOCK' ? 'UNLOCKED' : 'LOCKED', true)
    if (c.verb === 'UNLOCK' && door.mode !== 'UNLOCKED') {
      door.relock = setTimeout(() => move(door, 'LOCKED'), c.seconds * 1000)
    }
    answer('CONFIRMED', { confirmation: 'LOCK_STATE', lockState: door.lock })
  }, 50)
}

// Orders: what is signed of each, and what it does.
let link // the present one: its epoch, the last order, when we answered the last time
const orders = {
  command: {
    parts: (o) => [o.commandId, o.organizationId, o.deviceId, o.doorId, o.port, o.verb, o.seconds, o.issuedAt, o.notAfter],
    isForUs(o) {
      for (const [id, until] of seen) if (serverNow() > until) seen.delete(id)
      if (o.deviceId !== state.deviceId || o.organizationId !== state.organizationId || seen.has(o.commandId) ||
        !(micros(o.notAfter) - micros(o.issuedAt) <= 30_000_000n)) return false
      seen.set(o.commandId, Date.parse(o.notAfter) + 60_000)
      return true
    },
    heed: command
  },
  config: { parts: (o, text) => [state.deviceId, hash(asSent(text, 'doors'))], heed: (o) => adopt(o.doors) },
  keys: {
    parts: (o, text) => [state.deviceId, o.version, hash(asSent(text, 'serverKeys'))],
    isForUs: (o) => o.version > state.keysVersion,
    heed(o) {
      Object.assign(state, { serverKeys: o.serverKeys, keysVersion: o.version })
      save()
    }
  },
  time: {
    parts: (o) => [state.deviceId, o.serverTime, o.heardAt ?? ''],
    heed(o) {
      if (o.heardAt && link.answered) clock = { showed: read(o.heardAt), at: link.answered }
      if (serverNow() < read(o.serverTime)) clock = { showed: read(o.serverTime), at: performance.now() }
      link.answered = performance.now()
      send({ type: 'clock', answers: o.sequence, at: new Date().toISOString() })
    }
  },
  renew: { parts: () => [state.deviceId], heed: offer },
  rotated: {
    parts: (o) => [state.deviceId, Buffer.from(o.publicKey, 'base64')],
    heed(o) {
      if (state.nextKey && publicOf(state.nextKey).toString('base64') === o.publicKey) {
        refused = false
        socket.close(1000)
      }
    }
  }
}
// micros is an instant in microseconds, of which a Date has but the thousands.
const micros = (instant) => BigInt(Date.parse(instant.replace(/\.\d+/, ''))) * 1000n +
  BigInt((instant.match(/\.(\d+)/)?.[1] ?? '').padEnd(6, '0').slice(0, 6))

let refusals = 0, told = -Infinity
function obey(o, text) {
  const order = orders[o.type]
  const bytes = transcript(purpose + o.type, ...order.parts(o, text), o.epoch, o.sequence, o.keyId)
  if (signedByServer(o.keyId, bytes, o.signature) && o.epoch === link.epoch && o.sequence > link.last &&
    (order.isForUs?.(o) ?? true)) {
    link.last = o.sequence
    return order.heed(o)
  }
  refusals++
  if (performance.now() - told < 60_000) return
  told = performance.now()
  log({ type: 'report', event: 'device.order_refused', data: { count: refusals } })
  refusals = 0
}

// A new key: either may be the one that the server knows, until it has welcomed us by the next one.
let refused = false // the next one was
const shown = () => (state.nextKey && !refused ? state.nextKey : state.key)
function offer() {
  if (!state.nextKey) {
    state.nextKey = makeKey()
    save()
  }
  const publicKey = publicOf(state.nextKey)
  const bytes = transcript(purpose + 'rotate', state.deviceId, link.epoch, publicKey)
  send({ type: 'rotate', publicKey: publicKey.toString('base64'), proof: sign(state.nextKey, bytes), signature: sign(state.key, bytes) })
}

async function enrol() {
  const key = makeKey()
  const response = await fetch(url + '/devices/v1/enrol', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      claimCode, serial: 'EXAMPLE-1', model: 'Example', firmware,
      publicKey: publicOf(key).toString('base64'), proof: sign(key, transcript(purpose + 'enrol', claimCode))
    })
  })
  if (response.status !== 201) throw new Error(`refused: ${response.status} ${await response.text()}`)
  state = { ...await response.json(), key, keysVersion: 1, logEpoch: 1, sequence: 0, log: [] }
  save()
}

// connect is one link, from its challenge to its end, which it returns.
function connect() {
  return new Promise((resolve) => {
    const wire = new WebSocket(url.replace(/^http/, 'ws') + state.linkUrl, 'cardea.device.v1',
      { perMessageDeflate: false, maxPayload: 65536, handshakeTimeout: 10_000 })
    let challenge, nonce, asked, silence, patience = 10_000
    const heard = () => {
      clearTimeout(silence)
      silence = setTimeout(() => wire.terminate(), patience)
    }
    const greet = (c) => {
      if (c.type !== 'challenge' || c.version !== 1 || c.serverName !== state.serverName) return wire.terminate()
      challenge = c
      nonce = crypto.randomBytes(32)
      const keyIds = state.serverKeys.map((key) => key.id)
      const bytes = transcript(purpose + 'hello', 1, c.serverName, state.deviceId, Buffer.from(c.nonce, 'base64'),
        nonce, state.keysVersion, keyIds.join(','))
      asked = performance.now()
      wire.send(JSON.stringify({
        type: 'hello', version: 1, deviceId: state.deviceId, nonce: nonce.toString('base64'), logEpoch: state.logEpoch,
        firmware, at: new Date().toISOString(), keysVersion: state.keysVersion, keyIds, signature: sign(shown(), bytes)
      }))
    }
    const begin = (w, text) => {
      const bytes = transcript(purpose + 'welcome', 1, challenge.serverName, state.deviceId,
        Buffer.from(challenge.nonce, 'base64'), nonce, w.epoch, w.sequence, w.serverTime, w.heartbeatSeconds,
        hash(asSent(text, 'doors')), w.keyId)
      if (w.type !== 'welcome' || !signedByServer(w.keyId, bytes, w.signature)) return wire.terminate()
      patience = w.heartbeatSeconds * 1750
      if (shown() === state.nextKey) Object.assign(state, { key: state.nextKey, nextKey: undefined })
      clock = { showed: read(w.serverTime), at: asked }
      link = { epoch: w.epoch, last: 0 }
      forget(w.sequence)
      for (const entry of state.log) entry.buffered = true
      socket = wire
      state.log.forEach(send)
      adopt(w.doors)
      if (state.nextKey) offer()
    }
    const take = (text) => {
      const frame = JSON.parse(text)
      if (!challenge) greet(frame)
      else if (socket !== wire) begin(frame, text)
      else if (frame.type === 'ack') forget(frame.sequence)
      else if (Object.hasOwn(orders, frame.type)) obey(frame, text)
      heard()
    }
    wire.on('ping', heard)
    wire.on('message', (data, isBinary) => {
      try {
        if (isBinary) throw new Error('a binary message')
        take(data.toString())
      } catch (fault) {
        console.error(fault)
        wire.terminate()
      }
    })
    wire.on('error', () => {}) // a close follows
    wire.on('close', (code, reason) => {
      clearTimeout(silence)
      socket = undefined
      resolve({ code, reason: reason.toString() })
    })
    heard()
  })
}

if (claimCode && !fs.existsSync(path)) await enrol()
else state = JSON.parse(fs.readFileSync(path))
for (let ceiling = 500; ;) {
  const began = performance.now()
  const { code, reason } = await connect()
  if (code === 4001) state.log = state.log.filter((entry) => entry.sequence !== Number(reason))
  refused = code === 4501 && state.nextKey !== undefined && !refused
  if (!refused && (code >= 4500 || [1002, 1003, 1007, 1008, 1009, 1010].includes(code))) {
    console.error(`told to go away: ${code} ${reason}`)
    process.exit(1)
  }
  if (performance.now() - began > 60_000) ceiling = 500
  await pause(Math.random() * Math.min(ceiling, longest * 1000))
  ceiling = Math.min(ceiling * 2, 30_000)
}
