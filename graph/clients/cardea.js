// Where the API is, and who asks: CARDEA_URL and CARDEA_TOKEN.
import { randomUUID } from 'node:crypto'

export const url = `${process.env.CARDEA_URL}/graphql`
export const socketUrl = url.replace(/^http/, 'ws')
export const authorization = `Bearer ${process.env.CARDEA_TOKEN}`

// ask sends an operation and returns its data.
export async function ask(query, variables) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization },
    body: JSON.stringify({ query, variables }),
  })
  const { data, errors } = await response.json()
  if (errors) throw new Error(JSON.stringify(errors))
  return data
}

// site makes a site, and so an event, and returns its name.
export async function site() {
  const name = `Quay ${randomUUID()}`
  await ask('mutation ($name: String!) { createSite(input: { name: $name, timeZone: "UTC" }) { site { id } } }',
    { name })
  return name
}

// now is a cursor of the present.
export async function now() {
  const { auditLog } = await ask('{ auditLog(first: 1) { edges { cursor } } }')
  return auditLog.edges[0].cursor
}

export const events = 'subscription ($after: Cursor) { events(after: $after) { cursor event { type site { name } } } }'
