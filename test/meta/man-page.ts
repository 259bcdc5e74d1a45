/** The man page bin/pgbun.1, made of the tables of commands, flags and options. */
import { COMMANDS, FLAGS, type Flag, flagName } from '../../lib/cli/flags.ts'
import { formatValue } from '../../lib/config/convert.ts'
import { environmentName } from '../../lib/config/env.ts'
import { OPTION_NAMES, optionRow } from '../../lib/config/options.ts'
import { type OptionRow, SECTIONS } from '../../lib/config/types.ts'
import { VERSION } from '../../lib/config/version.ts'

const ARGUMENTS: Readonly<Record<string, string>> = {
  ctl: '[COMMAND]',
  completion: '[bash|zsh|fish]',
  'hash-password': '[USER]',
}

/** The page in the language of man(7). */
export function manPage(): string {
  return `${[
    '.\\" Made by "npm run docs" of the option table. Do not edit.',
    `.TH PGBUN 1 "" "pgbun ${VERSION}" "User Commands"`,
    ...heading('NAME'),
    'pgbun \\- PostgreSQL connection pooler and proxy',
    ...heading('SYNOPSIS'),
    '.B pgbun',
    '.RI [ command ]\n.RI [ server ]\n.RI [ options ]',
    ...heading('DESCRIPTION'),
    text('pgbun pools connections to PostgreSQL: many clients share few server connections.'),
    text('Without arguments, pgbun listens on port 6432 and forwards to PostgreSQL on localhost:5432.'),
    '.PP',
    text('The server is'),
    text('host:port, postgres://host:port, a host name with a dot, or the directory of a unix socket.'),
    ...heading('COMMANDS'),
    ...Object.entries(COMMANDS).flatMap(([name, doc]) => [
      '.TP',
      `.BR ${[macro(name), ...(ARGUMENTS[name] === undefined ? [] : [macro(` ${ARGUMENTS[name]}`)])].join(' ')}`,
      text(`${doc}.`),
    ]),
    ...heading('FLAGS'),
    ...Object.entries<Flag>(FLAGS).flatMap(([name, { doc, short, value }]) => [
      '.TP',
      term(name, short, value),
      text(doc),
    ]),
    ...heading('OPTIONS'),
    text(
      'Every option can also be set in the TOML file, under its name with underscores, and by the environment variable that is named with it.',
    ),
    text('The command line comes before the environment, and that before the file.'),
    text('A switch is turned off by --no- in front of its name.'),
    ...SECTIONS.flatMap((section) => [
      `.SS ${macro(`Options of [${section}]`)}`,
      ...OPTION_NAMES.filter((name) => optionRow(name).section === section).flatMap((name) => {
        const row = optionRow(name)
        return ['.TP', term(flagName(name), row.short, valueName(row)), text(row.doc), ...factsOf(name, row)]
      }),
    ]),
    ...heading('EXIT STATUS'),
    ...list([
      ['0', 'Success; after a signal, everything ended as it was asked to.'],
      ['1', 'The configuration cannot be used, or something failed at run time.'],
      ['2', 'There is a mistake on the command line.'],
    ]),
    ...heading('SIGNALS'),
    ...list([
      ['SIGTERM', 'Ends pgbun when clients have left, one after the other between two transactions.'],
      ['SIGINT', 'Ends pgbun as soon as all clients are between two transactions.'],
      ['SIGQUIT', 'Ends pgbun at once.'],
      ['SIGHUP', 'Reads the configuration, the list of users and the certificates again.'],
      ['SIGUSR2', 'Resumes what PAUSE at the console has paused.'],
    ]),
    ...heading('ENVIRONMENT'),
    ...list([
      ['PGBUN_CONFIG', 'The TOML file, if --config names none.'],
      ['PGBUN_...', 'Each option, as listed above.'],
      [
        'PGHOST, PGPORT, PGUSER, PGPASSWORD, PGPASSFILE, PGSSLMODE, PGSSLROOTCERT',
        'The console that pgbun ctl asks, as in libpq.',
      ],
    ]),
    ...heading('SEE ALSO'),
    '.BR psql (1),',
    '.BR pgbouncer (1)',
    '.PP',
    text('CLI.md, CONFIG.md, CONSOLE.md and TLS.md of the package explain commands, options, the console and TLS.'),
  ].join('\n')}\n`
}

function heading(name: string): string[] {
  return [`.SH ${macro(name)}`]
}

function list(items: [string, string][]): string[] {
  return items.flatMap(([name, meaning]) => ['.TP', `.B ${macro(name)}`, text(meaning)])
}

/** `-p, --listen-port PORT` */
function term(name: string, short: string | undefined, value: string | undefined): string {
  const names = [...(short === undefined ? [] : [`-${short}`]), `--${name}`].map((one) => `\\fB${roff(one)}\\fR`)
  return `${names.join(', ')}${value === undefined ? '' : ` \\fI${roff(value)}\\fR`}`
}

function valueName(row: OptionRow): string | undefined {
  switch (row.kind) {
    case 'bool':
      return undefined
    case 'int':
      return 'number'
    case 'bytes':
      return 'size'
    case 'enum':
      return row.values.join('|')
    case 'string':
      return 'text'
    default:
      return row.kind
  }
}

function factsOf(name: (typeof OPTION_NAMES)[number], row: OptionRow): string[] {
  const value = formatValue(row, row.default).replaceAll('"', '')
  return ['.br', text(`Default: ${value === '' ? 'empty' : value}. Variable: ${environmentName(name)}.`)]
}

/** A line of the page: sentences begin lines of their own, as man(7) wants it. */
function text(line: string): string {
  return line
    .replace(/([.?!]) (?=[A-Z])/g, '$1\n')
    .split('\n')
    .map((sentence) => roff(sentence).replace(/^([.'])/, '\\&$1'))
    .join('\n')
}

/** An argument of a macro. */
function macro(argument: string): string {
  return `"${roff(argument)}"`
}

/** roff's own characters, and those that would become typographic ones. */
function roff(line: string): string {
  return line
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replaceAll("'", '\\(aq')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replaceAll('`', '\\(ga')
    .replaceAll('…', '...')
}
