import { engineEnvironment, findPython } from '../python/environment.ts'
import { runAgent } from './agent.ts'
import type { Job, LaunchContext } from './launcher.ts'

/** All ranks on this machine, in one agent of this process. */
export const local = {
  async launch(job: Job, context: LaunchContext): Promise<void> {
    const python = await findPython()
    await runAgent(
      {
        runDir: job.runDir,
        ranks: job.processesPerNode,
        command: [python, ...trainArguments(job)],
        python,
        env: engineEnvironment(),
        watchdogSeconds: job.watchdogSeconds,
      },
      context,
    )
  },
}

/** What every rank's Python is started with; rank and world size come from torchrun's environment. */
export function trainArguments(job: Pick<Job, 'runDir' | 'generation' | 'warnings'>): string[] {
  const warnings = job.warnings.map((text) => `--warning=${text}`)
  const generation = String(job.generation)
  return ['-m', 'fiducial_engine.train', '--run-dir', job.runDir, '--generation', generation, ...warnings]
}
