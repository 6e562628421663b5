/** What lengths and volumes of an evaluation are in, for a person. */
export function unitsOf({ distance_unit }: { distance_unit?: 'px' }): { length: string; volume: string } {
  return distance_unit === 'px' ? { length: 'px', volume: '1,000 px' } : { length: 'mm', volume: 'ml' }
}
