/** The parser itself, of which the package has no types: the steps that take a key, and how it is run. */
declare module '@iarna/toml/lib/toml-parser.js' {
  export default class TomlParser {
    parse(text: string): void
    finish(): object
    recordAssignKeyword(key: string): unknown
    parseTableMore(key: string): unknown
    parseListMore(key: string): unknown
  }
}
