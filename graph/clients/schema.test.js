// The schema as tools read it: by introspection, and to generate code from.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { codegen } from '@graphql-codegen/core'
import * as operations from '@graphql-codegen/typescript-operations'
import * as types from '@graphql-codegen/typescript'
import { CriticalityLevel, diff } from '@graphql-inspector/core'
import {
  assertValidSchema, buildClientSchema, buildSchema, getIntrospectionQuery, parse, printSchema,
} from 'graphql'
import { ask } from './cardea.js'

const text = readFileSync(new URL('../../docs/schema.graphql', import.meta.url), 'utf8')
const document = `
  query Doors($site: ID!) {
    site(id: $site) { name doors(first: 20) { nodes { id name lockState connectivity } } }
  }
  subscription Watch { doors { cursor door { id lockState } } }
  mutation Unlock($door: ID!) { unlockDoor(input: { doorId: $door }) { command { stage reason } } }
`

test('introspection gives a valid schema, and the one that is published', async () => {
  const served = buildClientSchema(
    await ask(getIntrospectionQuery({ inputValueDeprecation: true, specifiedByUrl: true, oneOf: true })))
  assertValidSchema(served)
  assert.deepEqual((await diff(buildSchema(text), buildSchema(printSchema(served)))).map((c) => c.message), [])
})

// What clients of one schema would miss in another.
async function broken(before, after) {
  const changes = await diff(buildSchema(before), buildSchema(after))
  return changes.filter((c) => c.criticality.level === CriticalityLevel.Breaking).map((c) => c.message)
}

test('nothing that was released is broken', async () => {
  const released = new URL('../../docs/schema.released.graphql', import.meta.url)
  if (existsSync(released)) {
    assert.deepEqual(await broken(readFileSync(released, 'utf8'), text), [])
    return
  }
  const log = readFileSync(new URL('../../CHANGELOG.md', import.meta.url), 'utf8')
  assert.doesNotMatch(log, /^## \[?v?\d/m, 'a release puts its schema into docs/schema.released.graphql: make release-schema')
})

test('what breaks clients is found', async () => {
  for (const [was, is] of [
    ['  viewer: Viewer!\n', '  onlooker: Viewer!\n'],
    ['  viewer: Viewer!\n', '  viewer: Viewer\n'],
    ['  viewer: Viewer!\n', '  viewer(at: DateTime!): Viewer!\n'],
    ['  RATE_LIMITED\n', '  SLOW_DOWN\n'],
  ]) {
    assert.ok(text.includes(was), was)
    assert.notDeepEqual(await broken(text, text.replace(was, is)), [], was)
  }
  const more = text.replace('  viewer: Viewer!\n', '  viewer: Viewer!\n  onlooker: Viewer\n')
  assert.deepEqual(await broken(text, more), [])
})

test('graphql-codegen makes types of it', async () => {
  const made = await codegen({
    filename: 'cardea.ts',
    schema: parse(text),
    documents: [{ location: 'doors.graphql', document: parse(document) }],
    plugins: [{ types: {} }, { operations: {} }],
    pluginMap: { types, operations },
    config: {},
  })
  for (const name of ['DoorsQuery', 'WatchSubscription', 'UnlockMutationVariables']) {
    assert.match(made, new RegExp(`export type ${name} `))
  }
})

test('relay-compiler compiles against it', () => {
  const folder = mkdtempSync(join(import.meta.dirname, 'relay-'))
  try {
    writeFileSync(join(folder, 'schema.graphql'), text)
    writeFileSync(join(folder, 'Doors.js'), `
      graphql\`fragment Doors_site on Site @argumentDefinitions(first: { type: "Int", defaultValue: 20 },
          after: { type: "Cursor" }) @refetchable(queryName: "DoorsPageQuery") {
        doors(first: $first, after: $after) @connection(key: "Doors_site_doors") {
          edges { node { id name lockState } }
        }
      }\`
      graphql\`subscription DoorsWatchSubscription { doors { door { id lockState } } }\`
    `)
    writeFileSync(join(folder, 'relay.config.json'), JSON.stringify({
      src: '.', schema: './schema.graphql', language: 'javascript', eagerEsModules: true,
    }))
    execFileSync(join(import.meta.dirname, 'node_modules/.bin/relay-compiler'),
      ['relay.config.json'], { cwd: folder, stdio: 'pipe' })
    assert.match(readFileSync(join(folder, '__generated__/DoorsPageQuery.graphql.js'), 'utf8'), /doors\(/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
