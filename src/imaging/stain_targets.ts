import type { ImageSpec } from '../schema/preprocess.ts'

type Stain = NonNullable<ImageSpec['stain']>

/**
 * The published target of each method, for a recipe that names the method alone.
 *
 * Reinhard: the lαβ statistics of a region of TCGA-A2-A3XS (breast, H&E), HistomicsTK's colour standard.
 * Macenko: the stain vectors and maxima of the authors' reference implementation.
 *
 * @see Amgad et al., Bioinformatics 35 (2019) 3461–3467, and HistomicsTK, color_normalization
 * @see Macenko et al., ISBI 2009, 1107–1110, and Veta's staining-normalization
 */
export const STAIN_TARGETS = {
  reinhard: {
    kind: 'reinhard',
    target_mean: [8.74108109, -0.12440419, 0.0444982],
    target_std: [0.6135447, 0.10989545, 0.0286032],
  },
  macenko: {
    kind: 'macenko',
    target_stains: [
      [0.5626, 0.7201, 0.4062],
      [0.2159, 0.8012, 0.5581],
    ],
    target_max: [1.9705, 1.0308],
  },
} satisfies Record<Stain['kind'], Stain>
