// The Heroku CLI without the CLI: runs one command of the unmodified plugin.
//
//     node heroku.mjs PLUGIN_DIRECTORY COMMAND ARGUMENT…
import {createRequire} from 'node:module'
import {pathToFileURL} from 'node:url'

const [directory, ...argv] = process.argv.slice(2)
const require = createRequire(directory + '/package.json')
const {run, flush, handle} = require('@oclif/core')
const plugin = pathToFileURL(directory + '/node_modules/heroku-kafka/package.json').href
await run(argv, plugin).then(() => flush()).catch(handle)
