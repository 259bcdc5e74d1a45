/**
 * What `npm run compile` makes a program of: pgbun with the files of its live page in it. Bun reads each as a text; there are
 * none beside a program of one file.
 */

import uplotJs from 'uplot/dist/uPlot.iife.min.js' with { type: 'text' }
import uplotCss from 'uplot/dist/uPlot.min.css' with { type: 'text' }
import mainJs from '../dist/http/page/main.js' with { type: 'text' }
import iconSvg from '../lib/http/page/icon.svg' with { type: 'text' }
import indexHtml from '../lib/http/page/index.html' with { type: 'text' }
import pageCss from '../lib/http/page/page.css' with { type: 'text' }
import { embedPageFiles } from '../lib/http/page-files.ts'

embedPageFiles({
  'index.html': indexHtml,
  'page.css': pageCss,
  'icon.svg': iconSvg,
  'main.js': mainJs,
  'uplot.js': uplotJs,
  'uplot.css': uplotCss,
})
await import('../lib/cli/main.ts')
