/* no_symbol.c: a shared object that is no module. */
int something_else(void);

__attribute__((visibility("default"))) int something_else(void)
{
    return 1;
}
