// Subscriptions by the client that is written with the protocol graphql-transport-ws.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from 'graphql-ws'
import { authorization, events, now, site, socketUrl } from './cardea.js'

const connect = (options) =>
  createClient({ url: socketUrl, connectionParams: { authorization }, retryAttempts: 0, ...options })

test('queries, mutations and their errors', async () => {
  const client = connect()
  const [answer] = await Array.fromAsync(client.iterate({ query: '{ viewer { role } }' }))
  assert.equal(answer.data.viewer.role, 'OWNER')
  await assert.rejects(Array.fromAsync(client.iterate({ query: '{ nothing }' })), (errors) => {
    assert.equal(errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED')
    return true
  })
  await client.dispose()
})

test('a subscription that is cut goes on after its cursor', async () => {
  const first = connect()
  const live = first.iterate({ query: events, variables: { after: await now() } })
  const name = await site()
  const { value } = await live.next()
  assert.equal(value.data.events.event.site.name, name)
  first.terminate()
  const missed = [await site(), await site()]
  const second = connect()
  const resumed = second.iterate({ query: events, variables: { after: value.data.events.cursor } })
  for (const name of missed) {
    assert.equal((await resumed.next()).value.data.events.event.site.name, name)
  }
  await resumed.return()
  await second.dispose()
})

test('the client tries again by itself after it was cut', async () => {
  let connected = 0
  const client = connect({
    retryAttempts: 3,
    retryWait: async () => {},
    on: { connected: () => connected++ },
  })
  const live = client.iterate({ query: events })
  const next = live.next()
  while (connected === 0) await new Promise(setImmediate)
  client.terminate()
  while (connected === 1) await new Promise(setImmediate)
  let done = false
  next.then(() => (done = true))
  while (!done) await site() // until it listens again
  assert.equal((await next).value.data.events.event.type, 'site.created')
  await live.return()
  await client.dispose()
})

for (const [what, connectionParams, code] of [
  ['a token that nobody has', { authorization: 'Bearer cardea_x' }, 4403],
  ['no token', {}, 4403],
]) {
  test(`${what} closes the socket with ${code}`, async () => {
    const client = connect({ connectionParams })
    await assert.rejects(client.iterate({ query: '{ __typename }' }).next(), { code })
  })
}

// A client that does not keep to the protocol is told by the code that clients know.
const raw = (messages) =>
  new Promise((resolve) => {
    const socket = new WebSocket(socketUrl, 'graphql-transport-ws')
    socket.onopen = () => messages.forEach((m) => socket.send(m))
    socket.onclose = ({ code }) => resolve(code)
  })
const init = JSON.stringify({ type: 'connection_init', payload: { authorization } })
const subscribe = JSON.stringify({ id: '1', type: 'subscribe', payload: { query: events } })

for (const [what, code, messages] of [
  ['no JSON', 4400, ['{']],
  ['an unknown message', 4400, [JSON.stringify({ type: 'start' })]],
  ['a subscription before the handshake', 4401, [subscribe]],
  ['no handshake', 4408, []],
  ['the same id twice', 4409, [init, subscribe, subscribe]],
  ['two handshakes', 4429, [init, init]],
]) {
  test(`${what} closes the socket with ${code}`, async () =>
    assert.equal(await raw(messages), code))
}
