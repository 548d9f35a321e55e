// Operations as server-sent events, by the client that is written with the protocol graphql-sse.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from 'graphql-sse'
import { authorization, events, now, site, url } from './cardea.js'

const connect = (headers = { authorization }) => createClient({ url, headers, retryAttempts: 0 })

test('queries, mutations and their errors', async () => {
  const client = connect()
  const [answer] = await Array.fromAsync(client.iterate({ query: '{ viewer { role } }' }))
  assert.equal(answer.data.viewer.role, 'OWNER')
  const [refused] = await Array.fromAsync(client.iterate({ query: '{ nothing }' }))
  assert.equal(refused.errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED')
  client.dispose()
})

test('a subscription that is cut goes on after its cursor', async () => {
  const first = connect()
  const live = first.iterate({ query: events, variables: { after: await now() } })
  const name = await site()
  const { value } = await live.next()
  assert.equal(value.data.events.event.site.name, name)
  first.dispose()
  const missed = await site()
  const second = connect()
  const resumed = second.iterate({ query: events, variables: { after: value.data.events.cursor } })
  assert.equal((await resumed.next()).value.data.events.event.site.name, missed)
  await resumed.return()
  second.dispose()
})

test('without a token there is no stream', async () => {
  await assert.rejects(connect({}).iterate({ query: events }).next(), (fault) => {
    assert.equal(fault.response.status, 401)
    return true
  })
})
