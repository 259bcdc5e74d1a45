import { testOnRuntimes } from './net/on-runtimes.ts'

testOnRuntimes('dial')
