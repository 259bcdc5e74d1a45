/**
 * What `npm run compile` makes a program of: pgbun with the files of its live page in it. Bun reads each as a text; there are
 * none beside a program of one file.
 */

import uplotJs from 'uplot/dist/uPlot.iife.min.js' with { type: 'text' }
import uplotCss from 'uplot/dist/uPlot.min.css' with { type: 'text' }
import actionsJs from '../dist/http/page/actions.js' with { type: 'text' }
import chartJs from '../dist/http/page/chart.js' with { type: 'text' }
import elementsJs from '../dist/http/page/elements.js' with { type: 'text' }
import feedJs from '../dist/http/page/feed.js' with { type: 'text' }
import formatJs from '../dist/http/page/format.js' with { type: 'text' }
import mainJs from '../dist/http/page/main.js' with { type: 'text' }
import overviewJs from '../dist/http/page/overview.js' with { type: 'text' }
import poolBookJs from '../dist/http/page/pool-book.js' with { type: 'text' }
import sectionsJs from '../dist/http/page/sections.js' with { type: 'text' }
import settingsJs from '../dist/http/page/settings.js' with { type: 'text' }
import tablesJs from '../dist/http/page/tables.js' with { type: 'text' }
import virtualRowsJs from '../dist/http/page/virtual-rows.js' with { type: 'text' }
import virtualTableJs from '../dist/http/page/virtual-table.js' with { type: 'text' }
import iconSvg from '../lib/http/page/icon.svg' with { type: 'text' }
import indexHtml from '../lib/http/page/index.html' with { type: 'text' }
import pageCss from '../lib/http/page/page.css' with { type: 'text' }
import { embedPageFiles } from '../lib/http/page-files.ts'

embedPageFiles({
  'index.html': indexHtml,
  'page.css': pageCss,
  'icon.svg': iconSvg,
  'main.js': mainJs,
  'actions.js': actionsJs,
  'chart.js': chartJs,
  'elements.js': elementsJs,
  'feed.js': feedJs,
  'format.js': formatJs,
  'overview.js': overviewJs,
  'pool-book.js': poolBookJs,
  'sections.js': sectionsJs,
  'settings.js': settingsJs,
  'tables.js': tablesJs,
  'virtual-rows.js': virtualRowsJs,
  'virtual-table.js': virtualTableJs,
  'uplot.js': uplotJs,
  'uplot.css': uplotCss,
})
await import('../lib/cli/main.ts')
