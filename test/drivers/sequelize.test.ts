/** Sequelize on `pg`: it sends several SET in one query at connect. Migrations by Umzug, its own tool for them. */
import { DataTypes, type Model, type ModelStatic, QueryTypes, Sequelize, type Transaction } from 'sequelize'
import { SequelizeStorage, Umzug } from 'umzug'
import { commonSteps, type Query, type Row } from './common-steps.ts'
import { testDriver } from './lab.ts'

function connectTo(url: string, max: number): Sequelize {
  return new Sequelize(url, { dialect: 'postgres', logging: false, pool: { max, acquire: 60_000 } })
}

const queryOf =
  (sequelize: Sequelize, transaction?: Transaction): Query =>
  async (text, values) => {
    const options = { type: QueryTypes.SELECT as const, bind: values, transaction }
    const result = (await sequelize.query(text, options)) as unknown
    return (Array.isArray(result) ? result : []) as Row[]
  }

interface Handle {
  sequelize: Sequelize
  copied: ModelStatic<Model>
}

testDriver('sequelize', ['sequelize', 'pg', 'umzug'], {
  async open({ url }, { workers }) {
    const sequelize = connectTo(url, workers)
    const columns = { tag: { type: DataTypes.TEXT, primaryKey: true }, n: DataTypes.INTEGER }
    const copied = sequelize.define('copied', columns, { tableName: 'copied', timestamps: false })
    return { sequelize, copied }
  },
  close: ({ sequelize }) => sequelize.close(),
  steps: {
    ...commonSteps<Handle>({
      query: ({ sequelize }) => queryOf(sequelize),
      transaction: ({ sequelize }, use) => sequelize.transaction((transaction) => use(queryOf(sequelize, transaction))),
    }),
    // What it set at connect must still be so on whichever server.
    async settings({ sequelize, copied }, work) {
      const query = queryOf(sequelize)
      for (let i = 0; i < 4; i++) {
        const tag = work.tag()
        const [row] = await query(
          "select $1::text as tag, current_setting('client_min_messages') as level, current_setting('TimeZone') as zone",
          [tag],
        )
        work.check(`${tag} warning <+00>-00`, `${row?.tag} ${row?.level} ${row?.zone}`)
        await copied.create({ tag, n: i })
        const found = await copied.findByPk(tag)
        work.check(`${tag} ${i}`, `${found?.get('tag')} ${found?.get('n')}`)
      }
    },
  },
  // Umzug has no lock of its own; with one connection, the session's lock and the migrations share it.
  async migrate({ url }) {
    const sequelize = connectTo(url, 1)
    const umzug = new Umzug({
      migrations: [
        {
          name: '1-create',
          async up({ context }) {
            await context.createTable('city', {
              id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
              name: { type: DataTypes.TEXT, allowNull: false },
            })
            await context.bulkInsert('ran', [{ name: '1-create' }])
          },
        },
        {
          name: '2-fill',
          async up({ context }) {
            await context.bulkInsert('city', [{ name: 'Bern' }, { name: 'Rome' }])
            await context.addColumn('city', 'country', { type: DataTypes.TEXT })
            await context.bulkInsert('ran', [{ name: '2-fill' }])
          },
        },
      ],
      context: sequelize.getQueryInterface(),
      storage: new SequelizeStorage({ sequelize }),
      logger: undefined,
    })
    await sequelize.query('select pg_advisory_lock(1)')
    await umzug.up()
    await sequelize.query('select pg_advisory_unlock(1)')
    await sequelize.close()
  },
})
