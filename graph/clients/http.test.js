// GraphQL over HTTP, as the suite of its reference implementation audits it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverAudits } from 'graphql-http'
import { authorization, url } from './cardea.js'

const audits = serverAudits({
  url,
  fetchFn: (target, options) =>
    fetch(target, { ...options, headers: { ...options?.headers, authorization } }),
})

test('all audits are here', () => assert.equal(audits.length, 61))

for (const audit of audits) {
  test(`${audit.id} ${audit.name}`, async () => {
    const result = await audit.fn()
    assert.equal(result.status, 'ok', result.reason)
  })
}
